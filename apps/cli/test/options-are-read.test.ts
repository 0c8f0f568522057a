import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const STACK = join(import.meta.dirname, '..', 'src', 'stack');
const CONTRACT = 'contract.ts';

const sources = readdirSync(STACK)
  .filter((file) => file.endsWith('.ts') && file !== CONTRACT)
  .map((file) => readFileSync(join(STACK, file), 'utf8'))
  .join('\n');

/** Members of `…Config` and `…Target` types that are values, not groups of them. */
function members(): string[] {
  const contract = readFileSync(join(STACK, CONTRACT), 'utf8');
  const types = contract.matchAll(/export interface \w+(?:Config|Target|Address)\b[^{]*\{(.*?)\n\}/gs);
  return [...types].flatMap(([, body]) =>
    [...(body ?? '').matchAll(/^ {2}readonly (\w+)/gm)].map(([, name]) => name ?? ''),
  );
}

// An option that nobody reads is a promise that nobody keeps.
it.each([...new Set(members())])('the stack reads %s', (name) => {
  expect(sources).toMatch(new RegExp(`\\b${name}\\b`));
});
