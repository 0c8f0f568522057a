import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { shadowcat } from './support/fake-host.js';

/** action.yml, the GitHub Action, as it is written; tooling/e2e runs it. */

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: {
    readonly using: string;
    readonly steps: readonly { readonly id?: string; readonly uses?: string; readonly run?: string }[];
  };
}

const textOf = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const { inputs, outputs, runs } = parse(textOf('action.yml')) as Action;

describe('action.yml', () => {
  it('uses every input, by way of variables, and has an output for every step', () => {
    const text = JSON.stringify(runs.steps);
    for (const name of Object.keys(inputs)) expect(text).toContain(`inputs.${name}`);
    // What a user writes must not become a part of a script.
    for (const { run = '' } of runs.steps) expect(run).not.toContain('${{');
    const ids = runs.steps.flatMap(({ id }) => id ?? []);
    for (const { value } of Object.values(outputs)) {
      expect(ids).toContain(/^\$\{\{ steps\.(\w+)\.outputs\.[\w-]+ \}\}$/.exec(value)?.[1]);
    }
  });

  it('pins what it brings along', () => {
    const manifest = JSON.parse(textOf('apps/cli/package.json')) as { version: string };
    expect(inputs['version']?.default).toBe(manifest.version);
    expect(inputs['node-version']?.default).toBe(textOf('.node-version').trim());
    const uses = runs.steps.flatMap((step) => step.uses ?? []);
    expect(uses).not.toEqual([]);
    for (const used of uses) expect(used).toMatch(/^actions\/[\w-]+@[0-9a-f]{40}$/);
  });

  it('is described with all its inputs and outputs', () => {
    const documented = textOf('docs/testing.md').split('## On GitHub')[1] ?? '';
    for (const name of [...Object.keys(inputs), ...Object.keys(outputs)]) expect(documented).toContain(`\`${name}\``);
  });

  it.for([
    ['lint', 'tape lint'],
    ['scan', 'tape scan'],
    ['verify', 'verify'],
    ['replay', 'replay'],
  ] as const)('calls %s with options that it has', async ([id, command]) => {
    const script = runs.steps.find((step) => step.id === id)?.run ?? '';
    expect(script).toContain(`shadowcat ${command} `);
    const { out } = await shadowcat([...command.split(' '), '--help']);
    const flags = [...script.matchAll(/(?<=[ (])--[a-z-]+/g)].map(([flag]) => flag);
    if (id === 'verify' || id === 'replay') expect(flags).not.toEqual([]);
    for (const flag of flags) expect(out).toContain(`${flag} `);
  });
});
