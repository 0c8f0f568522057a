import { ProxyError } from '@shadowcat/kernel';
import { jsonReply } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { BRIDGED_PREFIX } from '../../src/legacy-over-modern/legacy-over-modern.js';
import { bridgeTo, request } from './harness.js';

const DISCOVERED = {
  result: {
    supportedVersions: ['2026-07-28'],
    capabilities: { tools: { listChanged: true }, logging: {}, tasks: {} },
    instructions: 'be kind',
    resultType: 'complete',
    ttlMs: 0,
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'new', version: '2' } },
  },
};

const initialize = (protocolVersion: string) =>
  request('initialize', {
    protocolVersion,
    capabilities: { sampling: {}, tasks: {} },
    clientInfo: { name: 'old', version: '1' },
  });

describe('initialize', () => {
  it('asks the server for what it can do, in the name of the client', async () => {
    const { rpc, received } = bridgeTo(() => DISCOVERED);
    const answer = await rpc(initialize('2025-06-18'));
    expect(answer.status).toBe(200);
    expect(answer.headers['mcp-session-id']).toMatch(new RegExp(`^${BRIDGED_PREFIX}`));
    expect(answer.last).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: {
        protocolVersion: '2025-06-18',
        capabilities: { tools: { listChanged: true }, logging: {} },
        serverInfo: { name: 'new', version: '2' },
        instructions: 'be kind',
      },
    });
    expect(received[0]?.method).toBe('server/discover');
    expect(received[0]?.exchange.head.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'server/discover',
    });
    expect(received[0]?.meta).toEqual({
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'old', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': { sampling: {} },
    });
  });

  it('offers the newest legacy revision to a client whose own is unknown', async () => {
    const { rpc } = bridgeTo(() => DISCOVERED);
    expect((await rpc(initialize('2020-01-01'))).last).toMatchObject({ result: { protocolVersion: '2025-11-25' } });
  });

  it('opens no session when the server refuses, or speaks none of the revisions', async () => {
    const refusing = bridgeTo(() => ({ error: { code: -32022, message: 'no', data: { supported: ['2030-01-01'] } } }));
    const refused = await refusing.rpc(initialize('2025-06-18'));
    expect(refused.headers['mcp-session-id']).toBeUndefined();
    expect(refused.last).toMatchObject({ id: 1, error: { code: -32603, message: 'no' } });
    const later = bridgeTo(() => ({ result: { ...DISCOVERED.result, supportedVersions: ['2030-01-01'] } }));
    const unknown = await later.rpc(initialize('2025-06-18'));
    expect(unknown.headers['mcp-session-id']).toBeUndefined();
    expect(unknown.last).toMatchObject({ error: { message: expect.stringContaining('2030-01-01') } });
  });

  it('shows the client that it has to log in', async () => {
    const { rpc } = bridgeTo(() => jsonReply({}, { status: 401, headers: { 'www-authenticate': 'Bearer x' } }));
    const answer = await rpc(initialize('2025-06-18'));
    expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer x' } });
  });

  it('fails as the server does when it cannot be reached', async () => {
    const { send } = bridgeTo(() => {
      throw new ProxyError('upstream_unreachable', 'gone');
    });
    await expect(send(initialize('2025-06-18'))).rejects.toMatchObject({ code: 'upstream_unreachable' });
  });
});
