import { stringify } from 'yaml';
import type { Setting, Settings } from './settings.js';

export type ShowFormat = 'table' | 'json' | 'yaml';

/** The effective values and where each came from; secrets are masked. */
export function showSettings(settings: Settings, format: ShowFormat): string {
  const shown = [...settings.all()].map((setting) => ({
    name: setting.spec.name,
    value: shownValue(setting),
    origin: setting.origin.source === 'default' ? 'default' : `${setting.origin.source} ${setting.origin.where}`,
  }));
  if (format === 'table') return tableOf(shown.map(({ name, value, origin }) => [name, textOf(value), origin]));
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

function tableOf(rows: readonly (readonly string[])[]): string {
  const all = [['OPTION', 'VALUE', 'FROM'], ...rows];
  const width = (column: number): number => Math.min(60, Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const widths = [width(0), width(1)];
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
