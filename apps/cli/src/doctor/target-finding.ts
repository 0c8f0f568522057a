import { ProxyError, silentLog } from '@shadowcat/kernel';
import { httpUpstream, openSsePair } from '@shadowcat/transport-http';
import { openChild } from '@shadowcat/transport-stdio';
import { openSocket } from '@shadowcat/transport-ws';
import type { CommandTarget, UpstreamConfig, UrlTarget } from '../stack/contract.js';
import { systemClock } from '../stack/system.js';
import { type Dialogue, lineDialogue } from './dialogue.js';
import type { Finding } from './findings.js';
import { shakeHands } from './handshake.js';
import { httpDialogue } from './http-dialogue.js';

/** A server that is fetched by npx first may take a while. */
const PATIENCE_MS = 30_000;

export interface TargetOptions {
  readonly target: CommandTarget | UrlTarget;
  readonly headers: UpstreamConfig['headers'];
  readonly connectTimeoutMs: number;
}

/** Talks to one server as a client would: does it answer, and what is it? */
export async function targetFinding(options: TargetOptions): Promise<Finding> {
  const subject = options.target.kind === 'command' ? 'command' : 'upstream';
  const { name } = options.target;
  const late = new AbortController();
  const timer = systemClock.timer(PATIENCE_MS, () => late.abort());
  let dialogue: Dialogue | undefined;
  try {
    dialogue = await dial(options, late.signal);
    const facts = await orLate(shakeHands(dialogue), late.signal);
    const tools = facts.tools === undefined ? 'no tools' : `${facts.tools} ${facts.tools === 1 ? 'tool' : 'tools'}`;
    const text = `${name} is ${facts.name} ${facts.version}, protocol ${facts.protocolVersion}, ${tools}`;
    return { subject, verdict: 'ok', text };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const { target } = options;
    const named = target.kind === 'url' && reason.includes(target.url);
    return { subject, verdict: 'fail', text: named ? reason : `${name}: ${reason}` };
  } finally {
    timer.cancel();
    await dialogue?.close().catch(() => {});
  }
}

function orLate<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(new ProxyError('upstream_timeout', `no answer within ${PATIENCE_MS / 1000} s`));
    });
    answer.then(resolve, reject);
  });
}

async function dial(options: TargetOptions, signal: AbortSignal): Promise<Dialogue> {
  const { target, headers, connectTimeoutMs } = options;
  const components = { clock: systemClock, log: silentLog };
  if (target.kind === 'command') return lineDialogue(await openChild(target, components, signal));
  if (target.transport === 'http') {
    const { url, name } = target;
    const upstream = httpUpstream(
      { target: name, url, headers, connectTimeout: connectTimeoutMs, onUpstreamLoss: 'fail' },
      components,
    );
    const dialogue = httpDialogue(upstream, signal);
    return { ...dialogue, close: () => dialogue.close().finally(() => upstream.close()) };
  }
  const open = target.transport === 'ws' ? openSocket : openSsePair;
  return lineDialogue(await open({ url: target.url, headers, connectTimeoutMs }, components, signal));
}
