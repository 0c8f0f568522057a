import { stringify } from 'yaml';
import { SECTION_SPECS } from '../sections/sections.js';
import { textTable } from '../text-table.js';
import type { Setting, Settings } from './settings.js';
import type { Origin } from './source.js';

export type ShowFormat = 'table' | 'json' | 'yaml';

/** The effective values and where each came from; secrets are masked. */
export function showSettings(settings: Settings, format: ShowFormat): string {
  const shown = [...settings.all()].map((setting) => ({
    name: setting.spec.name,
    value: shownValue(setting),
    origin: originText(setting.origin),
  }));
  for (const { name, shape } of SECTION_SPECS) {
    const entry = settings.sections().get(name);
    const value = entry === undefined ? null : shape.show(entry.value);
    shown.push({ name, value, origin: originText(entry?.origin) });
  }
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

function originText(origin: Origin | undefined): string {
  return origin === undefined || origin.source === 'default' ? 'default' : `${origin.source} ${origin.where}`;
}

/** On one line; what a section holds in YAML's short form. */
function textOf(value: unknown): string {
  if (isStructure(value)) {
    const items = Array.isArray(value)
      ? value
      : Object.entries(value as object).map(([name, one]) => ({ [name]: one }));
    return items.map((item) => stringify(item, { collectionStyle: 'flow', lineWidth: 0 }).trim()).join(' ');
  }
  if (value === null || (Array.isArray(value) && value.length === 0)) return '-';
  return Array.isArray(value) ? value.join(' ') : String(value);
}

function isStructure(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (!Array.isArray(value) || typeof value[0] === 'object');
}
