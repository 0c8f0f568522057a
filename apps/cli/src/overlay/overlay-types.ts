import { type Pointer, pointerText, readPointer } from '@shadowcat/tape';
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import { badValue, type OptionType } from '../options/option-type.js';
import type { Shape } from '../sections/shape.js';

/** A place in the parameters of a request, or in an answer. */
export const pointer: OptionType<Pointer> = {
  label: 'pointer',
  parse(value) {
    const read = readPointer(value);
    if (read === undefined) throw badValue(value, 'a pointer', 'write /arguments/path, with * for any one step');
    return read;
  },
  show: pointerText,
  schema: { type: 'string', pattern: '^/' },
};

/** From 0 to 1. */
export const probability: OptionType<number> = {
  label: 'number',
  parse(value) {
    const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= 0 && number <= 1)) throw badValue(value, 'a probability', 'write a number from 0 to 1, as 0.25');
    return number;
  },
  show: String,
  schema: { type: 'number', minimum: 0, maximum: 1 },
};

/** An error code of JSON-RPC. */
export const errorCode: OptionType<number> = {
  label: 'code',
  parse(value) {
    if (!/^-?\d{1,9}$/.test(value)) throw badValue(value, 'an error code', 'write a whole number, as -32603');
    return Number(value);
  },
  show: String,
  schema: { type: 'integer' },
};

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Any value, as JSON text; numbers as they were written. */
export const jsonValue: Shape<string> = {
  label: 'any value',
  schema: {},
  read(node, path, reading) {
    const alias = firstAlias(node);
    if (alias === undefined) return jsonOf(node);
    reading.problem(`${reading.at(alias)}: ${path}: write the value here: aliases are not followed`);
    return undefined;
  },
  show: (json) => JSON.parse(json) as unknown,
};

function jsonOf(node: Node | null): string {
  if (node === null) return 'null';
  if (isSeq(node)) return `[${(node.items as (Node | null)[]).map(jsonOf).join(',')}]`;
  if (isMap(node)) {
    const pairs = node.items as Pair<Node, Node | null>[];
    return `{${pairs.map(({ key, value }) => `${JSON.stringify(isScalar(key) ? String(key.value) : '')}:${jsonOf(value)}`).join(',')}}`;
  }
  if (!isScalar(node)) return 'null';
  const { value, source } = node;
  if (typeof value === 'number' || typeof value === 'bigint') {
    if (source !== undefined && JSON_NUMBER.test(source)) return source;
    return Number.isFinite(Number(value)) ? String(value) : 'null';
  }
  return JSON.stringify(value) ?? 'null';
}

function firstAlias(node: Node | null): Alias | undefined {
  if (node === null) return undefined;
  if (isAlias(node)) return node;
  if (isSeq(node)) return first((node.items as (Node | null)[]).map(firstAlias));
  if (isMap(node)) return first((node.items as Pair<Node, Node | null>[]).map(({ value }) => firstAlias(value)));
  return undefined;
}

const first = <T>(values: readonly (T | undefined)[]): T | undefined => values.find((value) => value !== undefined);
