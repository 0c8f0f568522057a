import { badValue, type OptionType } from './option-type.js';

/** Any text but the empty one. */
export const text = (label: string): OptionType<string> => ({
  label,
  parse(value) {
    if (value === '') throw badValue(value, `a ${label}`, `write a ${label}`);
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', minLength: 1 },
});

const TRUE = new Set(['true', 'yes', 'on', '1']);
const FALSE = new Set(['false', 'no', 'off', '0']);

/** True or false; on the command line the flag alone. */
export const flag: OptionType<boolean> = {
  label: 'boolean',
  parse(value) {
    const word = value.toLowerCase();
    if (TRUE.has(word)) return true;
    if (FALSE.has(word)) return false;
    throw badValue(value, 'true or false', 'write true or false');
  },
  show: String,
  schema: { type: 'boolean' },
};

/** A whole number within bounds. */
export const int = (bounds: { readonly min: number; readonly max: number }): OptionType<number> => ({
  label: 'n',
  parse(value) {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= bounds.min && number <= bounds.max)) {
      throw badValue(value, 'a number in range', `write a whole number from ${bounds.min} to ${bounds.max}`);
    }
    return number;
  },
  show: String,
  schema: { type: 'integer', minimum: bounds.min, maximum: bounds.max },
});

/** A share, written in percent: `20` and `20%` are 0.2. The lowest one is `min` percent, the highest 100. */
export const percent = ({ min }: { readonly min: number }): OptionType<number> => ({
  label: 'percent',
  parse(value) {
    const number = Number(/^(\d{1,3}(?:\.\d{1,2})?)%?$/.exec(value)?.[1] ?? Number.NaN);
    if (!(number >= min && number <= 100)) throw badValue(value, 'a percentage', `write ${min} to 100, as 20%`);
    return number / 100;
  },
  show: (share) => `${Math.round(share * 10_000) / 100}%`,
  schema: { type: ['string', 'number'], pattern: '^\\d{1,3}(\\.\\d{1,2})?%?$', minimum: min, maximum: 100 },
});

/** One of a few words. */
export const oneOf = <const W extends string>(...words: readonly W[]): OptionType<W> => ({
  label: words.join('|'),
  parse(value) {
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw badValue(value, 'one of the choices', `write ${words.join(', ')}`);
    return word;
  },
  show: (value) => value,
  schema: { enum: words },
});

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

const DURATION = '^\\d+(\\.\\d+)?(ms|s|m|h|d)$';

/** Node's timers overflow beyond this and fire at once. */
const MAX_DURATION = 24 * 86_400_000;

/** Milliseconds, written with a unit. `zero` says whether 0 has a meaning for the option. */
export const duration = (options: { readonly zero?: boolean } = {}): OptionType<number> => ({
  label: 'duration',
  parse(value) {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value);
    const unit = UNITS.find(([name]) => name === match?.[2])?.[1];
    const ms = value === '0' ? 0 : unit === undefined ? Number.NaN : Math.round(Number(match?.[1]) * unit);
    if (Number.isNaN(ms)) throw badValue(value, 'a duration', 'write it with its unit, as 500ms, 30s, 5m or 2h');
    if (ms > MAX_DURATION) throw badValue(value, 'a possible duration', 'at most 24d');
    if (ms === 0 && options.zero !== true) throw badValue(value, 'a possible duration', 'it must be more than 0');
    return ms;
  },
  show(ms) {
    if (ms === 0) return '0';
    const unit = UNITS.find(([, size]) => ms % size === 0);
    return unit === undefined ? `${ms}ms` : `${ms / unit[1]}${unit[0]}`;
  },
  schema:
    options.zero === true
      ? { anyOf: [{ type: 'string', pattern: DURATION }, { const: 0 }] }
      : { type: 'string', pattern: DURATION },
});

const BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kib: 1024,
  kb: 1000,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  mb: 1000 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  gb: 1000 ** 3,
};

/** Bytes: a number, with a unit or without. */
export const size = (bounds: { readonly min: number; readonly max: number }): OptionType<number> => ({
  label: 'size',
  parse(value) {
    const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value);
    const unit = BYTES[(match?.[2] ?? '?').toLowerCase()];
    if (match === null || unit === undefined) {
      throw badValue(value, 'a size', 'write bytes or a unit, as 65536, 64k or 4MiB');
    }
    const bytes = Math.floor(Number(match[1]) * unit);
    if (bytes < bounds.min || bytes > bounds.max) {
      throw badValue(value, 'a possible size', `write ${showSize(bounds.min)} to ${showSize(bounds.max)}`);
    }
    return bytes;
  },
  show: showSize,
  schema: { type: ['string', 'integer'], pattern: '^\\d+(\\.\\d+)?\\s*([kKmMgG]([iI]?[bB])?|[bB])?$' },
});

function showSize(bytes: number): string {
  for (const [name, unit] of [
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
  ] as const) {
    if (bytes >= unit && bytes % unit === 0) return `${bytes / unit}${name}`;
  }
  return `${bytes}`;
}
