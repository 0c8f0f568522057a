import { Context, type Exchange, ProxyError, reply } from '@shadowcat/kernel';
import { exchangeOf } from '@shadowcat/testkit';
import { credentialSlot, peerSlot } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { identify, tokenRule } from '../src/stack/access.js';
import { type AdminSources, admin } from '../src/stack/admin.js';

const SOURCES: AdminSources = {
  health: async () => ({ store: { ok: true } }),
  metrics: async () => ({ text: 'up 1\n', contentType: 'text/plain' }),
};

function from(peer: string, host: string): Exchange {
  const context = new Context();
  context.set(peerSlot, peer);
  return exchangeOf({ target: '/metrics', headers: { host }, context });
}

async function statusOf(access: 'loopback' | 'any' | 'off', peer: string, host: string): Promise<number | string> {
  const handler = admin(access, SOURCES)(async () => reply({ status: 404, headers: {} }));
  return handler(from(peer, host)).then(
    ({ head }) => head.status,
    (error: unknown) => ProxyError.from(error).code,
  );
}

describe('health and metrics', () => {
  it.each([
    ['loopback', '127.0.0.1', 'localhost:8787', 200],
    ['loopback', '::1', '[::1]:8787', 200],
    ['loopback', '::ffff:127.0.0.1', '127.0.0.1', 200],
    ['loopback', '10.0.0.7', 'localhost:8787', 'not_found'],
    // A page of a foreign site that rebinds its name to this machine.
    ['loopback', '127.0.0.1', 'evil.example:8787', 'not_found'],
    ['any', '10.0.0.7', '10.0.0.9:8787', 200],
    ['off', '127.0.0.1', 'localhost', 'not_found'],
  ] as const)('are shown, with --admin %s, to %s who asks for %s: %s', async (access, peer, host, expected) => {
    expect(await statusOf(access, peer, host)).toBe(expected);
  });
});

describe('the token', () => {
  it.each([
    ['Bearer abc', undefined],
    ['bearer abc', undefined],
    ['abc', 'unauthorized'],
    ['Basic abc', 'unauthorized'],
    ['Bearer abd', 'unauthorized'],
    [undefined, 'unauthorized'],
  ])('in %s is judged the same at every door', async (authorization, code) => {
    expect(tokenRule('abc')(authorization)?.code).toBe(code);
    const exchange = exchangeOf(authorization === undefined ? {} : { headers: { authorization } });
    const asked = identify('abc')(async () => reply({ status: 200, headers: {} }))(exchange);
    if (code === undefined) expect((await asked).head.status).toBe(200);
    else await expect(asked).rejects.toMatchObject({ code });
    expect(exchange.context.get(credentialSlot) === undefined).toBe(code !== undefined);
  });
});
