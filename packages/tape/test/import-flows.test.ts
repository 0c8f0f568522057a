import { describe, expect, it } from 'vitest';
import { endsOf, events, flow, imported, joined, messagesOf, orderOf, tnetstring } from './support/import.js';
import { bytesOf, call, initialize, result } from './support/rig.js';

const text = (value: object): string => JSON.stringify(value);
const SESSION = 'session-of-flows-1';
const OPENED = {
  jsonrpc: '2.0',
  id: 0,
  result: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 's', version: '1' } },
};
const opening = flow({ body: text(initialize()), session: SESSION, status: 200, answer: text(OPENED) });
const asked = (id: number, at: number) => ({ at, session: SESSION, body: text(call(id, `tool-${id}`)) });

describe('flows of mitmproxy', () => {
  it('are imported in the order of their requests, not of their answers', async () => {
    const late = flow({ ...asked(2, 20), status: 200, answer: text(result(2, 'b')) });
    const early = flow({ ...asked(1, 10), status: 200, type: 'text/event-stream', answer: events(result(1, 'a')) });
    const read = await imported(joined([late, opening, early]), 'mitmproxy');
    expect(messagesOf(read).map((line) => line.slice(0, 12))).toEqual([
      'client s1 1 ',
      'server s1 1 ',
      'client s1 2 ',
      'server s1 2 ',
      'client s1 3 ',
      'server s1 3 ',
    ]);
    expect(messagesOf(read)[2]).toContain('tool-1');
    expect(endsOf(read)).toEqual(['1 answered', '2 answered', '3 answered']);
    expect(read.losses).toEqual([]);
    expect(read.golden.join('')).not.toContain(SESSION);
  });

  it('that broke off, were not answered or lost their stream say so', async () => {
    const read = await imported(
      joined([
        opening,
        flow({ ...asked(1, 10), error: 'Client disconnected.' }),
        flow({ ...asked(2, 20), error: 'server closed connection' }),
        flow({ ...asked(3, 30) }),
        flow({ ...asked(4, 40), status: 200, type: 'text/event-stream', answer: null }),
        flow({
          ...asked(5, 50),
          status: 200,
          type: 'text/event-stream',
          answer: 'data: {"jsonrpc"',
          error: 'peer closed connection',
        }),
      ]),
      'mitmproxy',
    );
    expect(endsOf(read)).toEqual(['1 answered', '2 closed-by-client', '3 reset', '4 reset', '5 reset', '6 reset']);
    expect(read.losses).toEqual([
      '4 answers are missing: what was asked ends as it broke off',
      '1 answer has no body in the file (what was streamed is often not kept)',
    ]);
  });

  it('have bodies as on the wire: they are decoded', async () => {
    const squeezed = flow({ ...asked(1, 5), status: 200, encoding: 'br', answer: bytesOf('squeezed') });
    const broken = flow({ ...asked(2, 50), status: 200, encoding: 'zip', answer: bytesOf('?') });
    const decode = (bytes: Uint8Array, encoding: string): Uint8Array => {
      if (encoding !== 'br') throw new Error('unknown');
      expect(new TextDecoder().decode(bytes)).toBe('squeezed');
      return bytesOf(text(result(1, 'whole')));
    };
    const read = await imported(joined([opening, squeezed, broken]), 'mitmproxy', { decode });
    expect(messagesOf(read)[3]).toContain('whole');
    expect(read.losses[0]).toBe('1 body could not be decoded: left out');
  });

  it('of other kinds, and of other traffic, are left out', async () => {
    const tcp = tnetstring({ version: 17, type: 'tcp', messages: [] });
    const page = flow({ method: 'GET', path: '/page', status: 200, type: 'text/html', answer: 'page' });
    const read = await imported(joined([tcp, page, opening]), 'mitmproxy');
    expect(read.losses).toEqual(['2 flows were no MCP and left out']);
  });

  it('that became a WebSocket are a line', async () => {
    const message = (fromClient: boolean, value: object, at: number) => [
      1,
      fromClient,
      bytesOf(text(value)),
      1_700_000_000 + at,
      false,
      false,
    ];
    const messages = [
      message(true, initialize(), 1),
      message(false, OPENED, 2),
      message(true, call(1, 'a'), 3),
      message(false, { jsonrpc: '2.0', method: 'notifications/message', params: {} }, 4),
      message(false, result(1, 'over a socket'), 5),
    ];
    const socket = flow({
      method: 'GET',
      status: 101,
      more: { websocket: { messages, closed_by_client: true, close_code: 1000 } },
    });
    const read = await imported(socket, 'mitmproxy');
    expect(orderOf(read)).toEqual(['client s1 1', 'server s1 1', 'client s1 2', 'server s1 2', 'server s1 2']);
    expect(endsOf(read)).toEqual(['1 answered', '2 answered']);
  });

  it('cut at any byte give what is whole, and say where', async () => {
    const file = joined([opening, flow({ ...asked(1, 5), status: 200, answer: text(result(1, 'x')) })]);
    for (let at = 1; at < file.length; at += 1) {
      const cut = await imported(file.slice(0, at), 'mitmproxy').catch((error: unknown) => error);
      if (at < opening.length) expect(cut, `cut at ${at}`).toMatchObject({ code: 'tape_invalid' });
      else if (at > opening.length)
        expect(cut, `cut at ${at}`).toMatchObject({
          losses: [`the file ends in the middle of flow 2 at byte ${opening.length}: what is before was imported`],
        });
    }
  });

  it('with any byte changed are read or refused, and nothing else', async () => {
    const file = joined([opening, flow({ ...asked(1, 5), status: 200, answer: text(result(1, 'x')) })]);
    for (let at = 0; at < file.length; at += 1) {
      const changed = file.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x13;
      const read = await imported(changed, 'mitmproxy').catch((error: unknown) => error);
      if (read instanceof Error) expect(read, `byte ${at}`).toMatchObject({ code: 'tape_invalid' });
    }
  });

  it.each([
    ['no length', bytesOf('x'), 'flow 1, byte 0: a length was expected'],
    ['a value longer than its holder', bytesOf('4:99:,}'), 'a value is longer than what holds it'],
    ['an unknown kind', bytesOf('1:x?'), 'no kind of value is called "?"'],
    ['lists in lists', bytesOf(nested(100)), 'more values than a flow has'],
    ['a key twice', bytesOf('16:1:a;1:1#1:a;1:2#}'), 'a key is there twice'],
    ['no dictionary', tnetstring('x'), 'flow 1 at byte 0: this is no flow'],
    ['an old format', flow({ version: 4 }), 'flow format 4 is older than mitmproxy 5'],
  ])('with %s are refused', async (_, bytes, message) => {
    await expect(imported(bytes, 'mitmproxy')).rejects.toThrow(message);
  });

  it('of a newer format are read, and it is said', async () => {
    const read = await imported(
      flow({ version: 40, body: text(call(1, 'a')), status: 200, answer: text(result(1, 'x')) }),
      'mitmproxy',
    );
    expect(read.losses).toEqual(['the flows have format 40; 21 is the newest that is known']);
  });
});

function nested(depth: number): string {
  let value = '0:~';
  for (let level = 0; level < depth; level += 1) value = `${value.length}:${value}]`;
  return value;
}
