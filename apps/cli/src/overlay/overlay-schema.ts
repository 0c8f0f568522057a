import { isAbsolute, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonSchema } from '../options/option-type.js';
import { overlayShape } from './overlay-shape.js';

const SHIPPED_SCHEMA = fileURLToPath(new URL('../../schema/overlay.schema.json', import.meta.url));

/** The JSON Schema (draft-07) of an overlay file, for editors. A key without a value is the same as none. */
export function overlaySchema(): JsonSchema {
  const { properties, ...rest } = overlayShape.schema;
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Shadowcat overlay',
    description: 'x.overlay.yaml: what a test changes about a tape, for shadowcat replay and verify.',
    ...rest,
    type: ['object', 'null'],
    properties: Object.fromEntries(
      Object.entries(properties as Readonly<Record<string, JsonSchema>>).map(([name, { description, ...schema }]) => {
        return [name, { description, anyOf: [schema, { type: 'null' }] }];
      }),
    ),
  };
}

/** As it is written to a file. */
export function overlaySchemaText(): string {
  return `${JSON.stringify(overlaySchema(), null, 2)}\n`;
}

/**
 * How an overlay in `directory` refers to the schema that comes with this program. Overlays are committed: `undefined` when
 * the program is not installed in the project, and the path would be one of this machine only.
 */
export function overlaySchemaReference(
  directory: string,
  project: string,
  schema: string = SHIPPED_SCHEMA,
): string | undefined {
  const inProject = relative(resolve(project), schema);
  const path = relative(resolve(directory), schema).replaceAll('\\', '/');
  if (inProject.startsWith('..') || isAbsolute(inProject) || isAbsolute(path)) return undefined;
  return path.startsWith('.') ? path : `./${path}`;
}
