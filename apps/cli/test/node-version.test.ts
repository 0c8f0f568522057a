import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { NEEDED_NODE, nodeProblem } from '../src/node-version.js';

it.each(['18.20.4', '20.19.0', '22.18.9', '21.99.0', '8.0.0'])(
  'Node %s is told what is needed, what it is, what to do',
  (version) => {
    const text = nodeProblem(version, '/opt/node');
    expect(text?.trimEnd().split('\n')).toHaveLength(2);
    expect(text).toContain(`needs Node ${NEEDED_NODE} or newer; this is Node ${version} (/opt/node)`);
    expect(text).toContain('npm start');
  },
);

it.each(['22.19.0', '22.20.1', '23.0.0', '24.21.0', '100.0.0'])('Node %s is new enough', (version) => {
  expect(nodeProblem(version, '/opt/node')).toBeUndefined();
});

it('asks for the same Node as package.json', () => {
  const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    engines: { node: string };
  };
  expect(engines.node).toBe(`>=${NEEDED_NODE}`);
});

it('lets an old Node read nothing but the check: the entry imports no other module statically', () => {
  const imports = (file: string): string[] =>
    [...readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8').matchAll(/^import .*'(.+)';$/gm)].map(
      ([, from]) => from ?? '',
    );
  expect(imports('main.ts')).toEqual(['./node-version.js']);
  expect(imports('node-version.ts')).toEqual([]);
});
