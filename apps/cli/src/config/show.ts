import { stringify } from 'yaml';
import { textTable } from '../text-table.js';
import type { Setting, Settings } from './settings.js';

export type ShowFormat = 'table' | 'json' | 'yaml';

/** The effective values and where each came from; secrets are masked. */
export function showSettings(settings: Settings, format: ShowFormat): string {
  const shown = [...settings.all()].map((setting) => ({
    name: setting.spec.name,
    value: shownValue(setting),
    origin: setting.origin.source === 'default' ? 'default' : `${setting.origin.source} ${setting.origin.where}`,
  }));
  if (format === 'table')
    return textTable(
      ['OPTION', 'VALUE', 'FROM'],
      shown.map(({ name, value, origin }) => [name, textOf(value), origin]),
    );
  if (format === 'json') {
    const values = shown.map(({ name, value, origin }) => [name, { value, origin }]);
    return `${JSON.stringify(Object.fromEntries(values), null, 2)}\n`;
  }
  return stringify(Object.fromEntries(shown.flatMap(({ name, value }) => (value === null ? [] : [[name, value]]))));
}

/** As it would stand in the file; `null`: not set. */
function shownValue({ spec, value }: Setting): unknown {
  const show = (one: unknown): unknown => {
    if (spec.type.conceal !== undefined) return spec.type.conceal(one);
    return typeof one === 'boolean' || (typeof one === 'number' && spec.type.label === 'n') ? one : spec.type.show(one);
  };
  if (value === undefined) return null;
  return Array.isArray(value) ? value.map(show) : show(value);
}

function textOf(value: unknown): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '-';
  return Array.isArray(value) ? value.join(' ') : String(value);
}
