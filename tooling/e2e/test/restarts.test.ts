import { describe, expect, it } from 'vitest';
import { connectListening } from '../src/listening-client.js';
import { freePort, startWithUrl } from '../src/processes.js';
import { everythingServer, startEverything } from '../src/servers.js';
import { shadowcat, workFolder } from '../src/shadowcat.js';

/** The proxy is ended or killed under SDK clients in the middle of a call; they come back by themselves. */

const STEPS = 6;
/** Of which one takes half a second: the event log has had time to be written before the cut. */
const LONG = { duration: STEPS / 2, steps: STEPS };
const CUT_AFTER = 3;
const all = Array.from({ length: STEPS }, (_, index) => index + 1);

/** A call during which the proxy stops with `signal` and is started again at the same address. */
async function callAcrossRestart(
  kind: 'v1' | 'v2-legacy',
  how: { readonly target: readonly string[]; readonly signal: NodeJS.Signals; readonly cwd: string },
): Promise<{ readonly steps: readonly number[]; readonly outcome: string }> {
  const listen = ['--listen', `127.0.0.1:${await freePort()}`, '--drain-timeout', '100ms'];
  const start = () => startWithUrl(shadowcat(['reverse', ...listen, ...how.target], how.cwd));
  let proxy = await start();
  try {
    await using client = await connectListening(kind, proxy.url);
    const steps: number[] = [];
    const cut = Promise.withResolvers<void>();
    const calling = client
      .call('trigger-long-running-operation', LONG, (step) => {
        steps.push(step);
        if (steps.length === CUT_AFTER) cut.resolve();
      })
      .catch((error: { code?: unknown }) => `error ${String(error.code)}`);
    await Promise.race([cut.promise, calling]);
    await proxy.stop({ signal: how.signal });
    proxy = await start();
    return { steps, outcome: await calling };
  } finally {
    await proxy[Symbol.asyncDispose]();
  }
}

describe.each(['SIGTERM', 'SIGKILL'] as const)('%s in the middle of a call', (signal) => {
  it.each(['v1', 'v2-legacy'] as const)('is not noticed by client %s in front of an HTTP server', async (kind) => {
    await using folder = await workFolder();
    await using everything = await startEverything();
    const target = ['--upstream', everything.url];
    const { steps, outcome } = await callAcrossRestart(kind, { target, signal, cwd: folder.path });
    expect({ steps, outcome }).toEqual({ steps: all, outcome: expect.stringContaining('completed') });
  });

  it.each(['v1', 'v2-legacy'] as const)(
    'ends the call of client %s with an error where a command was asked',
    async (kind) => {
      await using folder = await workFolder();
      await using everything = everythingServer();
      const target = ['--', everything.target.command, ...everything.target.args];
      const { steps, outcome } = await callAcrossRestart(kind, { target, signal, cwd: folder.path });
      expect(steps).toEqual(all.slice(0, steps.length));
      expect(steps.length).toBeGreaterThanOrEqual(CUT_AFTER);
      // Told by the proxy that ends, or by the one that takes its place.
      expect(outcome).toMatch(signal === 'SIGTERM' ? /^error -32007$/ : /^error -32013$/);
    },
  );
});
