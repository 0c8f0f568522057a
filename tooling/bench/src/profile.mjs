// Where Shadowcat's own CPU time goes while it is loaded, by package and by function.
//   node tooling/bench/src/profile.mjs http|stdio [--record] [--requests 30000] [--top 30]
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { demandBuild, startShadowcat, startUpstream, stdioServer } from './contenders.mjs';
import { makeLoad } from './load.mjs';
import { makeFolder } from './processes.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    record: { type: 'boolean', default: false },
    requests: { type: 'string', default: '30000' },
    top: { type: 'string', default: '30' },
  },
});

/** The package a function belongs to. */
function packageOf(url) {
  if (url === '') return '(native)';
  if (url.startsWith('node:')) return url.split('/')[0];
  if (url.includes('node_modules/'))
    return url
      .split('node_modules/')
      .at(-1)
      .split('/')
      .slice(0, url.includes('node_modules/@') ? 2 : 1)
      .join('/');
  return url.match(/\/(?:packages|apps)\/[^/]+/)?.[0].slice(1) ?? url;
}

/** Microseconds by what `keyOf` says about a call frame, the most first; the time in which nothing ran is left out. */
function tally(profile, keyOf) {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map();
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    if (frame.functionName === '(idle)') continue;
    const key = keyOf(frame);
    times.set(key, (times.get(key) ?? 0) + profile.timeDeltas[index]);
  }
  return [...times].sort((a, b) => b[1] - a[1]);
}

function print(title, times) {
  const total = times.reduce((sum, [, time]) => sum + time, 0);
  console.log(`\n${title}`);
  for (const [key, time] of times.slice(0, Number(values.top))) {
    console.log(`${((time / total) * 100).toFixed(1).padStart(6)} %  ${key}`);
  }
}

demandBuild();
const folder = makeFolder();
const upstream = positionals[0] === 'stdio' ? undefined : await startUpstream();
const target = upstream === undefined ? stdioServer : ['--upstream', upstream.url];
const recording = values.record ? ['--record', join(folder, 'tapes')] : [];
const node = ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval', '200'];
const proxy = await startShadowcat(() => [...recording, ...target], node);
try {
  const load = await makeLoad(proxy.url, 16);
  try {
    await load.run(Number(values.requests));
  } finally {
    await load.close();
  }
} finally {
  // The profile is written when the process ends by itself.
  await proxy.stop();
  await upstream?.stop();
}
const file = readdirSync(folder).find((name) => name.endsWith('.cpuprofile'));
const profile = JSON.parse(readFileSync(join(folder, file), 'utf8'));
print(
  'by package',
  tally(profile, ({ url }) => packageOf(url)),
);
print(
  'by function',
  tally(profile, ({ url, functionName, lineNumber }) => {
    const place = url === '' ? '' : ` ${url.split('/').at(-1)}:${lineNumber + 1}`;
    return `${packageOf(url)} ${functionName || '(anonymous)'}${place}`;
  }),
);
