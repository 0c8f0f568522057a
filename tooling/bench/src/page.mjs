// The page that has the figures: each script writes between markers of its own.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Problem } from './problem.mjs';

const PAGE = fileURLToPath(new URL('../../../docs/performance.md', import.meta.url));

/** Replaces what docs/performance.md has between `<!-- name -->` and `<!-- /name -->`. */
export function writeFigures(name, report) {
  const page = readFileSync(PAGE, 'utf8');
  const marked = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*(<!-- /${name} -->)`);
  if (!marked.test(page)) throw new Problem(`${PAGE} has no <!-- ${name} --> markers to write between`);
  writeFileSync(
    PAGE,
    page.replace(marked, (_all, open, close) => `${open}\n${report}\n\n${close}`),
  );
  process.stderr.write('written to docs/performance.md\n');
}
