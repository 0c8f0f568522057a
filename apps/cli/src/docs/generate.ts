import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configSchemaText } from '../config/schema.js';
import { commandsPage } from './commands-page.js';
import { configurationPage } from './configuration-page.js';

/** What is generated from the table of options and the commands, by path from the root of the checkout. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  'apps/cli/schema/shadowcat.schema.json': configSchemaText,
  'docs/cli.md': commandsPage,
  'docs/configuration.md': configurationPage,
};

const ROOT = join(import.meta.dirname, '..', '..', '..', '..');

/** `pnpm --filter shadowcat generate`. */
export function generate(root: string = ROOT): void {
  for (const [path, make] of Object.entries(GENERATED)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, make());
  }
}
