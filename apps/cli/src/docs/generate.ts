import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tapeSchema } from '@shadowcat/tape';
import { configSchemaText } from '../config/schema.js';
import { overlaySchemaText } from '../overlay/overlay-schema.js';
import { commandsPage } from './commands-page.js';
import { configurationPage } from './configuration-page.js';
import { limitsPage } from './limits-page.js';
import { metricsPage } from './metrics-page.js';

/** What is generated from the tables of options, metrics and bounds and from the commands, by path from the root of the checkout. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  'apps/cli/schema/shadowcat.schema.json': configSchemaText,
  'apps/cli/schema/overlay.schema.json': overlaySchemaText,
  'apps/cli/schema/tape.schema.json': () => `${JSON.stringify(tapeSchema(), null, 2)}\n`,
  'docs/cli.md': commandsPage,
  'docs/configuration.md': configurationPage,
  'docs/limits.md': limitsPage,
  'docs/metrics.md': metricsPage,
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
