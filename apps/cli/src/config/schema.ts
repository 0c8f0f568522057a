import type { OptionSpec } from '../options/option.js';
import type { JsonSchema } from '../options/option-type.js';
import { SPECS } from '../options/table.js';
import { SECTION_SPECS } from '../sections/sections.js';

/** The JSON Schema (draft-07) of the configuration file, for editors. */
export function configSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Shadowcat configuration',
    description:
      'shadowcat.yaml: every option of the command line, without its leading dashes, and what needs more than an option.',
    type: ['object', 'null'],
    additionalProperties: false,
    properties: Object.fromEntries([
      ...SPECS.map((spec) => [spec.name, propertyOf(spec)]),
      ...SECTION_SPECS.map(({ name, help, shape }) => [
        name,
        { description: sentence(help), anyOf: [shape.schema, { type: 'null' }] },
      ]),
    ]),
  };
}

/** As it is written to a file. */
export function configSchemaText(): string {
  return `${JSON.stringify(configSchema(), null, 2)}\n`;
}

function propertyOf(spec: OptionSpec): JsonSchema {
  return {
    description: sentence(spec.help),
    ...(spec.fallback === undefined ? {} : { default: defaultOf(spec, spec.fallback) }),
    ...valueSchema(spec),
  };
}

function valueSchema(spec: OptionSpec): JsonSchema {
  const one = spec.type.schema;
  if (spec.kind !== 'many')
    return 'type' in one ? { ...one, type: [one['type'], 'null'].flat() } : { anyOf: [one, { type: 'null' }] };
  const single = spec.place === 'words' ? { type: 'string', pattern: '^\\S+$' } : one;
  const pairs = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } };
  const list = { type: 'array', items: one };
  return { anyOf: [single, list, ...(spec.type.pairs === true ? [pairs] : []), { type: 'null' }] };
}

function defaultOf(spec: OptionSpec, fallback: string): unknown {
  const value = spec.type.parse(fallback);
  return typeof value === 'boolean' || spec.type.label === 'n' ? value : fallback;
}

/** The help of an option as a sentence; that it can be repeated is said by the form of its value. */
export function sentence(option: string): string {
  const help = option.replace(/; repeatable$/, '');
  return `${help.charAt(0).toUpperCase()}${help.slice(1)}.`;
}
