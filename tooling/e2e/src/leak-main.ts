#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { type LeakReport, measureLeaks } from './leak.js';

const USAGE = `usage: leak-main.js [--calls 20000] [--sessions 2000]

Sends calls to a proxy in front of a command and opens and closes sessions, then prints what the proxy holds before and after:
handles, timers, descriptors, children and heap. Ends with 1 when it holds more.`;

/** More than this share of heap is a leak; garbage that was not found yet is less. */
const HEAP_SHARE = 1.2;
const MIB = 1024 * 1024;

function table({ before, after }: LeakReport): string {
  const kinds = [...new Set([...Object.keys(before.handles), ...Object.keys(after.handles)])].sort();
  const rows = [
    ['children, the watcher included', before.children, after.children],
    ['descriptors', before.descriptors, after.descriptors],
    ['timers', before.timers, after.timers],
    ...kinds.map((kind) => [`handles: ${kind}`, before.handles[kind] ?? 0, after.handles[kind] ?? 0]),
    ['heap, MiB', (before.heap / MIB).toFixed(1), (after.heap / MIB).toFixed(1)],
  ];
  return ['| | before | after |', '|---|---|---|', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');
}

function holdsMore({ before, after, failures }: LeakReport): boolean {
  const grown = Object.entries(after.handles).some(([kind, count]) => count > (before.handles[kind] ?? 0));
  return (
    grown ||
    failures.length > 0 ||
    after.children > before.children ||
    after.descriptors > before.descriptors ||
    after.timers > before.timers ||
    after.heap > before.heap * HEAP_SHARE
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      calls: { type: 'string', default: '20000' },
      sessions: { type: 'string', default: '2000' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const report = await measureLeaks({ calls: Number(values.calls), sessions: Number(values.sessions) });
  const { calls, sessions, seconds, failures } = report;
  process.stdout.write(`${calls} calls and ${sessions} sessions in ${seconds.toFixed(0)} s\n\n${table(report)}\n`);
  for (const failure of failures.slice(0, 5)) process.stderr.write(`${failure}\n`);
  if (holdsMore(report)) process.exitCode = 1;
}

await main();
