import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSTRUMENTS, type InstrumentSpec } from '@shadowcat/metrics';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BOUNDS } from '../src/docs/limits-page.js';
import { LABELS } from '../src/docs/metrics-page.js';
import { SPECS } from '../src/options/table.js';

/* docs/alerts.yaml speaks of metrics, labels and options that exist. What only promtool knows is checked by `alerts`. */

const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly see: string };
}

const file = parse(readFileSync(join(DOCS, 'alerts.yaml'), 'utf8')) as {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
};
const rules = file.groups.flatMap((group) => group.rules);

const specs: readonly InstrumentSpec[] = Object.values(INSTRUMENTS);
const labelsByName = new Map<string, readonly string[]>(specs.map((spec) => [spec.name, spec.labels]));
/** What prom-client adds to each scrape; the end-to-end test sees whether it does. */
const OF_THE_PROCESS = /^shadowcat_(process|nodejs)_/;

/** The instruments that a text of PromQL names, with the labels that it selects by. */
function selectorsOf(expr: string): { readonly name: string; readonly labels: readonly string[] }[] {
  return [...expr.matchAll(/(shadowcat_\w+)(?:\{((?:[^}"]|"[^"]*")*)\})?/g)].map(([, name = '', inside = '']) => ({
    name: name.replace(/_bucket$/, ''),
    labels: [...inside.matchAll(/(\w+)\s*[=!]~?\s*"/g)].map(([, label = '']) => label),
  }));
}

const optionsIn = (text: string): string[] =>
  [...text.matchAll(/(?<!\w)--([a-z][a-z-]+)/g)].map(([, name = '']) => name);
/** Options of Node. */
const FOREIGN = ['heapsnapshot-signal'];

describe.each(rules.map((rule) => [rule.alert, rule] as const))('the alert %s', (_name, rule) => {
  const selectors = selectorsOf(rule.expr);
  const known = new Set(selectors.flatMap(({ name }) => labelsByName.get(name) ?? []));

  it('has a form that Prometheus takes', () => {
    expect(rule).toEqual({
      alert: expect.stringMatching(/^Shadowcat[A-Za-z]+$/),
      expr: expect.any(String),
      ...(rule.for === undefined ? {} : { for: expect.stringMatching(/^\d+[smh]$/) }),
      labels: { severity: expect.stringMatching(/^(critical|warning|info)$/) },
      annotations: {
        summary: expect.stringMatching(/^.{10,100}$/),
        description: expect.stringMatching(/^.{60,}$/),
        see: expect.any(String),
      },
    });
  });

  it('asks for metrics and labels that exist', () => {
    expect(selectors.length).toBeGreaterThan(0);
    const unknown = selectors.flatMap(({ name, labels }) => {
      if (OF_THE_PROCESS.test(name)) return labels;
      const own = labelsByName.get(name);
      return own === undefined ? [name] : labels.filter((label) => !own.includes(label));
    });
    expect(unknown).toEqual([]);
  });

  it('groups by labels that exist, and shows no other', () => {
    const grouped = [...rule.expr.matchAll(/(?:without|by|on)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
      list.split(','),
    );
    const shown = [...JSON.stringify(rule.annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label);
    const ofPrometheus = ['instance'];
    const used = [...grouped.map((label) => label.trim()), ...shown];
    expect(used.filter((label) => !known.has(label) && !ofPrometheus.includes(label))).toEqual([]);
    const gone = [...rule.expr.matchAll(/without\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(','));
    expect(shown.filter((label) => gone.map((one) => one.trim()).includes(label))).toEqual([]);
  });

  it('names options that exist, and leads somewhere', () => {
    const names = SPECS.map(({ name }) => name);
    const options = optionsIn(rule.annotations.description);
    expect(options.filter((name) => !names.includes(name) && !FOREIGN.includes(name))).toEqual([]);
    const [page = '', anchor] = rule.annotations.see.split('#');
    const text = readFileSync(join(DOCS, page), 'utf8');
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(anchor === undefined || text.includes(`<a id="${anchor}">`) || headings.includes(anchor)).toBe(true);
  });
});

it('no alert has the name of another', () => {
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
});

it('each option that bounds something is in docs/limits.md', () => {
  const listed = new Set(BOUNDS.map(({ by }) => by));
  const bounding = SPECS.filter(({ name, commands }) => /^max-|-timeout$/.test(name) && commands.includes('reverse'));
  // Of the background: what they bound is no request.
  const others = ['health-timeout'];
  expect(
    bounding.map(({ name }) => name).filter((name) => !listed.has(name as never) && !others.includes(name)),
  ).toEqual([]);
});

it('docs/metrics.md tells where the values of each label come from', () => {
  const used = new Set(specs.flatMap(({ labels }) => labels));
  expect([...used].sort()).toEqual(Object.keys(LABELS).sort());
});
