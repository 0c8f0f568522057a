import { INSTRUMENTS, type InstrumentSpec, OUTCOMES } from '@shadowcat/metrics';

const HEAD = `# Metrics

<!-- Generated from packages/metrics/src/instruments.ts: \`pnpm --filter shadowcat generate\`. -->

\`/metrics\` of the listener, in Prometheus' text format, to whom [\`admin\`](configuration.md#admin) lets in. Reading it costs
nothing between two readings. [alerts.yaml](alerts.yaml) has rules for what somebody should hear of, and
[limits.md](limits.md) tells which metric belongs to which bound.

Besides these there is the process itself, as \`prom-client\` measures it: \`shadowcat_process_resident_memory_bytes\`,
\`shadowcat_process_open_fds\` and \`shadowcat_process_max_fds\` (Linux), \`shadowcat_process_cpu_seconds_total\`,
\`shadowcat_process_start_time_seconds\`, \`shadowcat_nodejs_heap_size_used_bytes\`, \`shadowcat_nodejs_eventloop_lag_p99_seconds\`
and their kin.
`;

/** What keeps the number of series bounded: where the values of each label come from. */
export const LABELS: Readonly<Record<string, string>> = {
  method:
    'the methods of MCP; `other` for what no revision has, `(stream)`, `(end)`, `(response)`, `(unread)` for what has none',
  era: '`legacy`, `modern`, or empty where it is not known',
  outcome: `of requests: ${OUTCOMES.map((one) => `\`${one}\``).join(', ')}; elsewhere as the metric says`,
  code: 'the error codes of the proxy, as its log names them',
  target: 'names of upstreams, from the configuration',
  pool: 'names of upstreams with children or lines',
  group: 'names of groups',
  member: 'names of members of combined groups',
  tool: 'names of tools or prompts whose answers differ; see `pointer`',
  pointer: 'JSON Pointers where answers differ, 200 places at most with their tools, then `(other)`',
  interceptor: 'names of interceptors',
  option: 'names of options',
  state: 'a closed set for each metric',
  reason: 'a closed set; of children their exit codes and signals, 50 at most for each upstream, then `other`',
  event: 'a closed set, as the metric says',
  how: '`opened`, `restored`',
  verdict: 'the verdicts of interceptors',
  version: 'the one that runs',
};

/** docs/metrics.md. */
export function metricsPage(): string {
  const specs: readonly InstrumentSpec[] = Object.values(INSTRUMENTS);
  const rows = specs.map(
    ({ name, kind, labels, help }) =>
      `| <a id="${name}"></a>\`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help.replaceAll('|', '\\|')} |`,
  );
  const labels = [...new Set(specs.flatMap((spec) => spec.labels))].map(
    (label) => `| \`${label}\` | ${LABELS[label]} |`,
  );
  return [
    HEAD,
    `## All of them\n\n| metric | kind | labels | |\n|---|---|---|---|\n${rows.join('\n')}\n`,
    `## Labels\n\nWhat clients or servers make up becomes a label only where its values are counted and bounded.\n\n| label | values |\n|---|---|\n${labels.join('\n')}\n`,
  ].join('\n');
}
