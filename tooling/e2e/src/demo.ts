// npm run demo: the whole job once, with a real client and a real server. Exits 0 only if the replay equals the recording.

import { relative } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { drive } from './clients.js';
import { everythingServer } from './servers.js';
import { startShadowcat, workFolder } from './shadowcat.js';
import type { Step, Transcript } from './transcript.js';

const say = (text = ''): void => void process.stdout.write(`${text}\n`);
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

function nameOf(step: Step): string {
  const { name, uri } = (step.params ?? {}) as { name?: string; uri?: string };
  return [step.request, name ?? uri].filter((part) => part !== undefined).join(' ');
}

function outcomeOf(step: Step): string {
  const extras = [
    step.progress === undefined ? '' : `${step.progress.length + 1} progress notifications`,
    ...(step.asked ?? []).map(({ method }) => `the server asked: ${method}`),
  ].filter((text) => text !== '');
  const outcome = step.error === undefined ? 'answered' : `error ${String(step.error.code)}`;
  return extras.length === 0 ? outcome : `${outcome} (${extras.join(', ')})`;
}

async function driveOnce(url: string): Promise<Transcript> {
  const started = performance.now();
  const transcript = await drive('v1', { url }, { tour: everythingServer().tour });
  say(`   ${transcript.length} requests by @modelcontextprotocol/sdk in ${seconds(started)}`);
  return transcript;
}

async function main(): Promise<number> {
  await using folder = await workFolder();
  const server = everythingServer().target;
  const tape = `${folder.path}/demo.tape.jsonl`;

  say('1. shadowcat reverse --record demo.tape.jsonl -- node …/server-everything/dist/index.js stdio');
  const recorded = await (async () => {
    await using proxy = await startShadowcat(
      ['reverse', '--record', tape, '--', server.command, ...server.args],
      folder.path,
    );
    say(`   listening on ${proxy.url}`);
    const transcript = await driveOnce(proxy.url);
    for (const step of transcript) say(`     ${nameOf(step)}: ${outcomeOf(step)}`);
    const { code } = await proxy.stop();
    say(`   stopped, exit code ${String(code)}, ${proxy.survivors().length} processes left`);
    return transcript;
  })();

  say(`2. shadowcat replay ${relative(folder.path, tape)}   (no server behind it)`);
  await using replay = await startShadowcat(['replay', tape], folder.path);
  say(`   listening on ${replay.url}`);
  const replayed = await driveOnce(replay.url);
  const { code, stderr } = await replay.stop();
  for (const line of stderr.trim().split('\n')) say(`   ${line}`);
  say(`   stopped, exit code ${String(code)}`);

  say('3. the same client, the same answers?');
  const different = recorded.filter((step, i) => !isDeepStrictEqual(step, replayed[i]));
  for (const step of different) say(`   differs: ${nameOf(step)}`);
  const equal = different.length === 0 && recorded.length === replayed.length;
  say(equal ? `   yes: all ${recorded.length} answers are deeply equal.` : '   no.');
  return equal && code === 0 ? 0 : 1;
}

process.exitCode = await main();
