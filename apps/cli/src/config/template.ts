import { isAbsolute, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { OptionSpec } from '../options/option.js';
import { SPECS } from '../options/table.js';
import { SECTION_SPECS } from '../sections/sections.js';
import { sentence } from './schema.js';

const SHIPPED_SCHEMA = fileURLToPath(new URL('../../schema/shadowcat.schema.json', import.meta.url));

/**
 * How a configuration file in `directory` refers to the schema that comes with this program: relative where it lies below
 * (`node_modules/shadowcat/…`), else as a `file:` URL.
 */
export function schemaReference(directory: string, schema: string = SHIPPED_SCHEMA): string {
  const path = relative(resolve(directory), schema);
  if (path.startsWith('..') || isAbsolute(path)) return pathToFileURL(schema).href;
  return `./${path.replaceAll('\\', '/')}`;
}

/** A new configuration file: every option with its default, as comments. */
export function configTemplate(schema: string): string {
  const lines = [
    `# yaml-language-server: $schema=${schema}`,
    '#',
    '# Shadowcat reads this file from the directory it is started in, or where --config says. Each key is an option of the',
    '# command line without its dashes; a flag wins over a variable (SHADOWCAT_LISTEN), a variable over this file. Relative',
    '# paths are relative to the directory Shadowcat is started in. `shadowcat config show` tells what is in effect.',
  ];
  let group: string | undefined;
  for (const spec of SPECS) {
    if (spec.group !== group) lines.push('', `# --- ${spec.group} ---`);
    group = spec.group;
    lines.push('', ...wrap(sentence(spec.help), 118).map((line) => `# ${line}`), `# ${spec.name}: ${sampleOf(spec)}`);
  }
  lines.push('', '# --- Groups of servers ---');
  for (const { help, example } of SECTION_SPECS) {
    const text = [...wrap(sentence(help), 118), ...example.split('\n')];
    lines.push('', ...text.map((line) => `# ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

/** The value that a comment line shows: the default, or an example where there is none. */
function sampleOf(spec: OptionSpec): string {
  const sample = spec.fallback ?? spec.example ?? '';
  return /^[[{"']/.test(sample) || !/[:#] |: ?$|^[*&!|>%@`]/.test(sample) ? sample : JSON.stringify(sample);
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
