import type { Clock, Log } from '@shadowcat/kernel';
import type { Connect } from '@shadowcat/tape';
import { httpUpstream, openSsePair } from '@shadowcat/transport-http';
import { openChild } from '@shadowcat/transport-stdio';
import { openSocket } from '@shadowcat/transport-ws';
import { toolParamHeaders } from '@shadowcat/wire';
import { watchChildren } from './commands.js';
import type { UpstreamConfig, VerifyConfig } from './contract.js';
import type { Owned } from './owned.js';
import { httpConnect } from './verify-http.js';
import { lineConnect } from './verify-line.js';

export interface TargetComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly owned: Owned;
  /** Where children are listed while they live. */
  readonly listFolder: string;
  readonly signal: AbortSignal;
}

/** How the server that is verified is reached. Opens nothing by itself, but the watcher of children. */
export function connectTo(
  { target, upstream, maxLine }: Pick<VerifyConfig, 'target' | 'upstream' | 'maxLine'>,
  components: TargetComponents,
): Connect {
  const { clock, log, owned, signal } = components;
  if (target.kind === 'command') {
    const watcher = watchChildren(components.listFolder, { log, owned });
    const onStderr = (line: string, pid: number): void => log.debug({ pid }, `${target.name}: ${line}`);
    return lineConnect(() => openChild({ ...target, maxLine }, { clock, log, watcher, onStderr }, signal));
  }
  const headers: UpstreamConfig['headers'] = { ...upstream.headers, ...target.headers };
  const { connectTimeoutMs, answerMs } = upstream;
  const { url, name } = target;
  if (target.transport === 'ws')
    return lineConnect(() =>
      openSocket({ url, headers, connectTimeoutMs, maxMessage: maxLine }, { clock, log }, signal),
    );
  if (target.transport === 'sse') {
    const options = { url, headers, connectTimeoutMs, firstByteTimeoutMs: answerMs };
    return lineConnect(() => openSsePair(options, { clock, log }, signal));
  }
  const handler = httpUpstream(
    {
      target: name,
      url,
      headers,
      connectTimeout: connectTimeoutMs,
      firstByteTimeout: answerMs,
      onUpstreamLoss: 'fail',
    },
    { clock, log },
  );
  owned.add(`the connections to ${name}`, () => handler.close());
  return httpConnect(toolParamHeaders({ validate: false })(handler));
}
