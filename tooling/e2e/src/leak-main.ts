#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { heldMore, type LeakReport, measureLeaks } from './leak.js';

const USAGE = `usage: leak-main.js [--calls 20000] [--sessions 2000]

Sends calls to a proxy in front of a command and opens and closes sessions, then prints what the proxy holds before and after:
handles, timers, descriptors, children and heap. Ends with 1 when it holds more.`;

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
  const wrong = [...failures.slice(0, 5), ...heldMore(report.before, report.after)];
  for (const one of wrong) process.stderr.write(`${one}\n`);
  if (wrong.length > 0) process.exitCode = 1;
}

await main();
