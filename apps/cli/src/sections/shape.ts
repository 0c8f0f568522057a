import { isAlias, isMap, isScalar, isSeq, type Node, type Pair as YamlPair } from 'yaml';
import { didYouMean } from '../config/nearest.js';
import type { JsonSchema, OptionType } from '../options/option-type.js';

/** Where a value is read from, and where what is wrong with it is told. */
export interface Reading {
  /** `shadowcat.yaml:3:9`. */
  at(node: Node): string;
  problem(line: string): void;
}

/** A kind of value of the configuration file that is more than one text: how it is read, shown and described. */
export interface Shape<T> {
  /** What a message calls it, such as `a list of names`. */
  readonly label: string;
  readonly schema: JsonSchema;
  /** `undefined` after a problem was told. `path`: such as `groups.main.members`. */
  read(node: Node, path: string, reading: Reading): T | undefined;
  /** As it would stand in the file; secrets are masked. */
  show(value: T): unknown;
}

/** A value and where it stands, for what can only be checked together with others: `shadowcat.yaml:3:9: groups.main`. */
export interface Sited<T> {
  readonly value: T;
  readonly where: string;
}

export function scalar<T>(type: OptionType<T>): Shape<T> {
  return {
    label: type.label,
    schema: type.schema,
    read(node, path, reading) {
      if (!isScalar(node) || node.value === null) return wrong(type.label, { node, path, reading });
      // Numbers and booleans as they were written.
      const text = typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
      try {
        return type.parse(text);
      } catch (error) {
        reading.problem(`${reading.at(node)}: ${path}: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
    },
    show(value) {
      if (type.conceal !== undefined) return type.conceal(value);
      return typeof value === 'number' && type.label === 'n' ? value : type.show(value);
    },
  };
}

/** A list; one value alone is a list of one. */
export function list<T>(item: Shape<T>): Shape<readonly T[]> {
  return {
    label: `a list of ${item.label}`,
    schema: { anyOf: [item.schema, { type: 'array', items: item.schema, minItems: 1 }] },
    read(node, path, reading) {
      const nodes = isSeq(node) ? (node.items as Node[]) : [node];
      if (nodes.length === 0) return wrong(`a list of ${item.label}`, { node, path, reading });
      return all(nodes.map((one) => item.read(one, path, reading)));
    },
    show: (values) => values.map((value) => item.show(value)),
  };
}

/** What a mapping's keys must look like: names that people choose. */
export const NAME = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$';

/** A mapping from names that the user chooses. */
export function mapping<T>(item: Shape<T>, names = NAME): Shape<ReadonlyMap<string, Sited<T>>> {
  const rule = new RegExp(names);
  const label = `a mapping of names to ${item.label}`;
  return {
    label,
    schema: { type: 'object', propertyNames: { pattern: names }, additionalProperties: item.schema, minProperties: 1 },
    read(node, path, reading) {
      if (!isMap(node) || node.items.length === 0) return wrong(label, { node, path, reading });
      const entries = pairsOf(node.items).map(({ key, name, value }) => {
        const own = `${path}.${name}`;
        const where = `${reading.at(key)}: ${own}`;
        if (!rule.test(name)) {
          reading.problem(`${where}: this is no name: use letters, digits, - _ and .`);
          return undefined;
        }
        const read = value === undefined ? nothing(item.label, where, reading) : item.read(value, own, reading);
        return read === undefined ? undefined : ([name, { value: read, where }] as const);
      });
      const whole = all(entries);
      return whole === undefined ? undefined : new Map(whole);
    },
    show: (values) => Object.fromEntries([...values].map(([name, { value }]) => [name, item.show(value)])),
  };
}

/** One key of a {@link record}. */
export interface Field<T> {
  readonly shape: Shape<T>;
  /** One line for documentation and schema. */
  readonly help: string;
  readonly required?: boolean;
}

type Values<F> = { readonly [K in keyof F]: F[K] extends { readonly shape: Shape<infer T> } ? T | undefined : never };

/** What all fields are, whatever their values. */
type Fields = Readonly<
  Record<
    string,
    {
      readonly shape: Pick<Shape<unknown>, 'label' | 'schema' | 'read'>;
      readonly help: string;
      readonly required?: boolean;
    }
  >
>;

/** A mapping with known keys. */
export function record<F extends Fields>(label: string, fields: F): Shape<Values<F>> {
  const known = new Map(Object.entries(fields as unknown as Record<string, Field<unknown>>));
  const required = [...known].flatMap(([key, field]) => (field.required === true ? [key] : []));
  return {
    label,
    schema: {
      type: 'object',
      additionalProperties: false,
      ...(required.length === 0 ? {} : { required }),
      properties: Object.fromEntries(
        [...known].map(([key, { shape, help }]) => [key, { description: `${help}.`, ...shape.schema }]),
      ),
    },
    read(node, path, reading) {
      if (!isMap(node)) return wrong(label, { node, path, reading });
      let right = true;
      const values: Record<string, unknown> = {};
      for (const { key, name, value } of pairsOf(node.items)) {
        const field = known.get(name);
        if (field === undefined) {
          reading.problem(`${reading.at(key)}: ${path}: unknown key "${name}"${didYouMean(name, [...known.keys()])}`);
          right = false;
        } else if (value !== undefined) {
          values[name] = field.shape.read(value, `${path}.${name}`, reading);
          right &&= values[name] !== undefined;
        }
      }
      for (const key of required.filter((name) => !(name in values))) {
        reading.problem(`${reading.at(node)}: ${path}: "${key}" is missing: ${known.get(key)?.help ?? ''}`);
        right = false;
      }
      return right ? (values as Values<F>) : undefined;
    },
    show(values) {
      const given = Object.entries(values as Record<string, unknown>).filter(([, value]) => value !== undefined);
      return Object.fromEntries(given.map(([key, value]) => [key, known.get(key)?.shape.show(value)]));
    },
  };
}

/** A value that may be written as one text, or with more to it. `from` makes the long form of the short one. */
export function shorthand<T, S>(short: Shape<S>, long: Shape<T>, from: (value: S) => T): Shape<T> {
  return {
    label: `${short.label} or ${long.label}`,
    schema: { anyOf: [short.schema, long.schema] },
    read(node, path, reading) {
      if (isMap(node)) return long.read(node, path, reading);
      const value = short.read(node, path, reading);
      return value === undefined ? undefined : from(value);
    },
    show: (value) => long.show(value),
  };
}

/** `name=value` texts as a list, or as a mapping. */
export function pairs<T>(type: OptionType<T>): Shape<readonly T[]> {
  const one = scalar(type);
  const texts = list(one);
  return {
    label: `a mapping or a list of ${type.label}`,
    schema: {
      anyOf: [
        ...(texts.schema['anyOf'] as JsonSchema[]),
        { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } },
      ],
    },
    read(node, path, reading) {
      if (!isMap(node)) return texts.read(node, path, reading);
      return all(
        pairsOf(node.items).map(({ key, name, value }) => {
          if (value === undefined || !isScalar(value))
            return wrong('a text', { node: key, path: `${path}.${name}`, reading });
          const text = typeof value.value === 'string' ? value.value : (value.source ?? String(value.value));
          try {
            return type.parse(`${name}=${text}`);
          } catch (error) {
            reading.problem(`${reading.at(value)}: ${path}: ${error instanceof Error ? error.message : String(error)}`);
            return undefined;
          }
        }),
      );
    },
    show: texts.show,
  };
}

/** The same, with where it stands. */
export function sited<T>(shape: Shape<T>): Shape<Sited<T>> {
  return {
    label: shape.label,
    schema: shape.schema,
    read(node, path, reading) {
      const value = shape.read(node, path, reading);
      return value === undefined ? undefined : { value, where: `${reading.at(node)}: ${path}` };
    },
    show: ({ value }) => shape.show(value),
  };
}

interface Met {
  readonly node: Node;
  readonly path: string;
  readonly reading: Reading;
}

function wrong(expected: string, { node, path, reading }: Met): undefined {
  reading.problem(`${reading.at(node)}: ${path}: expected ${expected}, found ${kindOf(node)}`);
  return undefined;
}

function nothing(expected: string, where: string, reading: Reading): undefined {
  reading.problem(`${where}: expected ${expected}, found nothing`);
  return undefined;
}

function kindOf(node: Node): string {
  if (isAlias(node)) return 'an alias, which is not followed';
  const empty = (isMap(node) || isSeq(node)) && node.items.length === 0 ? 'n empty' : '';
  if (isMap(node)) return `a${empty} mapping`;
  return isSeq(node) ? `a${empty} list` : 'something else';
}

function pairsOf(items: readonly unknown[]): { key: Node; name: string; value: Node | undefined }[] {
  return (items as readonly YamlPair<Node, Node | null>[]).map(({ key, value }) => ({
    key,
    name: isScalar(key) ? String(key.value) : '',
    value: value === null || (isScalar(value) && value.value === null) ? undefined : value,
  }));
}

function all<T>(values: readonly (T | undefined)[]): T[] | undefined {
  return values.includes(undefined) ? undefined : (values as T[]);
}
