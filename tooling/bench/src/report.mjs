// The figures as Markdown.

/** The middle one; of an even number the lower of the two in the middle. */
function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}

const of = (row, key) => median(row.rounds.map((round) => round[key]));

/** CPU a request against another contender's in the same round, which saw the same machine; the median of that. */
function ratio(row, base) {
  return median(row.rounds.map(({ cpu }, index) => cpu / base.rounds[index].cpu));
}

const find = (rows, name) => rows.find((row) => row.name.startsWith(name));

/** @param {import('./measure.mjs').Measured[]} rows */
export function table(rows, baseName) {
  const base = find(rows, baseName);
  const line = (row) => {
    const against = base === undefined ? '-' : ratio(row, base).toFixed(2);
    const times = ['p50', 'p95', 'p99'].map((key) => of(row, key).toFixed(2));
    const cells = [row.name, of(row, 'cpu').toFixed(0), against, of(row, 'perSecond').toFixed(0), ...times];
    return `| ${[...cells, row.memory.toFixed(0), row.descriptors].join(' | ')} |`;
  };
  return [
    `| | CPU µs a request | against ${baseName} | requests/s | p50 ms | p95 ms | p99 ms | memory MiB | descriptors |`,
    '|---|---|---|---|---|---|---|---|---|',
    ...rows.map(line),
  ].join('\n');
}

/** What is aimed at: CPU a request of `who` against `base` in one section. */
const BUDGETS = [
  { section: 'http', what: 'HTTP in front of HTTP, against the floor', who: 'shadowcat', base: 'floor', most: 1.5 },
  {
    section: 'stdio',
    what: 'HTTP in front of a command, against mcp-proxy',
    who: 'shadowcat',
    base: 'mcp-proxy',
    most: 1 / 3,
  },
  { section: 'http', what: 'recording, in front of HTTP', who: 'shadowcat, recording', base: 'shadowcat', most: 1.15 },
  {
    section: 'stdio',
    what: 'recording, in front of a command',
    who: 'shadowcat, recording',
    base: 'shadowcat',
    most: 1.15,
  },
];

/** @param {Record<string, import('./measure.mjs').Measured[]>} sections rows by section; one that was not measured is absent */
export function budgets(sections) {
  const lines = BUDGETS.flatMap(({ section, what, who, base, most }) => {
    const rows = sections[section] ?? [];
    const row = rows.find(({ name }) => name === who);
    const against = find(rows, base);
    if (row === undefined || against === undefined) return [];
    const measured = ratio(row, against);
    return [
      `| ${what} | at most ${most.toFixed(2)} | ${measured.toFixed(2)} | ${measured <= most ? 'met' : 'missed'} |`,
    ];
  });
  return ['| CPU a request | budget | measured | |', '|---|---|---|---|', ...lines].join('\n');
}
