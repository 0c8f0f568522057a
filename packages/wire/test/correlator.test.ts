import { describe, expect, it } from 'vitest';
import { Correlator, type Flying, type Inbound } from '../src/correlator.js';
import { type Message, readMessage } from '../src/index.js';

/** Who asks, in these transcripts, is a name; so is the session. */
class Line {
  readonly table = new Correlator<string>({ prefix: 'p', maxInFlight: 4 });
  readonly entries: Flying<string>[] = [];

  /** What the server gets for a client's message; `undefined`: nothing. */
  sends(who: string, text: string, era: 'legacy' | 'modern' = 'legacy'): string | undefined {
    const message = read(text);
    const scope = who.split('/')[0] ?? who;
    if (message.kind === 'response') return this.table.response(message, scope);
    if (message.kind === 'notification') return this.table.notification(message, scope)?.text;
    const { text: wire, entry } = this.table.request(message, { owner: who, scope, era });
    this.entries.push(entry);
    return wire;
  }

  /** Who gets a server's message, and as what. */
  hears(text: string): string {
    return shown(this.table.inbound(read(text)));
  }
}

function read(text: string): Message {
  const message = readMessage(text);
  if (message === undefined) throw new Error(`no message: ${text}`);
  return message;
}

function shown(inbound: Inbound<string>): string {
  switch (inbound.kind) {
    case 'answer':
    case 'related':
    case 'ended':
      return `${inbound.kind} for ${inbound.entry.owner}: ${inbound.text}`;
    case 'homeless': {
      const whom = [inbound.scope, inbound.owner].filter((part) => part !== undefined).join(' ');
      return `homeless${whom === '' ? '' : ` for ${whom}`}: ${inbound.text}`;
    }
    default:
      return inbound.kind;
  }
}

describe('requests of many clients on one line', () => {
  it('have ids of the line, and answers the ids of their clients, however these look', () => {
    const line = new Line();
    expect(line.sends('a/1', '{"jsonrpc":"2.0","id":1,"method":"ping"}')).toBe(
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
    );
    expect(line.sends('b/1', '{"jsonrpc":"2.0","id":1,"method":"ping"}')).toBe(
      '{"jsonrpc":"2.0","id":2,"method":"ping"}',
    );
    expect(line.sends('a/2', '{"method":"ping","id":"1","jsonrpc":"2.0"}')).toBe(
      '{"method":"ping","id":3,"jsonrpc":"2.0"}',
    );
    expect(line.sends('a/3', '{"jsonrpc":"2.0","id":1.0,"method":"ping"}')).toBe(
      '{"jsonrpc":"2.0","id":4,"method":"ping"}',
    );
    expect(line.hears('{"jsonrpc":"2.0","id":2,"result":{"n":9007199254740993}}')).toBe(
      'answer for b/1: {"jsonrpc":"2.0","id":1,"result":{"n":9007199254740993}}',
    );
    expect(line.hears('{"result":{},"jsonrpc":"2.0","id":3}')).toBe(
      'answer for a/2: {"result":{},"jsonrpc":"2.0","id":"1"}',
    );
    expect(line.hears('{"jsonrpc":"2.0","id":4,"error":{"code":1,"message":"m"}}')).toBe(
      'answer for a/3: {"jsonrpc":"2.0","id":1.0,"error":{"code":1,"message":"m"}}',
    );
    expect(line.hears('{"jsonrpc":"2.0","id":1,"result":{}}')).toBe(
      'answer for a/1: {"jsonrpc":"2.0","id":1,"result":{}}',
    );
    expect(line.table.inFlight).toBe(0);
  });

  it('with the same id in one session are both answered, each its own', () => {
    const line = new Line();
    line.sends('a/first', '{"jsonrpc":"2.0","id":1,"method":"x"}');
    line.sends('a/second', '{"jsonrpc":"2.0","id":1,"method":"x"}');
    expect(line.hears('{"jsonrpc":"2.0","id":2,"result":2}')).toBe(
      'answer for a/second: {"jsonrpc":"2.0","id":1,"result":2}',
    );
    expect(line.hears('{"jsonrpc":"2.0","id":1,"result":1}')).toBe(
      'answer for a/first: {"jsonrpc":"2.0","id":1,"result":1}',
    );
  });

  it('answered twice, or never sent, are known as such', () => {
    const line = new Line();
    line.sends('a/1', '{"jsonrpc":"2.0","id":7,"method":"x"}');
    expect(line.hears('{"jsonrpc":"2.0","id":1,"result":{}}')).toContain('answer for a/1');
    expect(line.hears('{"jsonrpc":"2.0","id":1,"result":{}}')).toBe('unknown');
    expect(line.hears('{"jsonrpc":"2.0","id":"1","result":{}}')).toBe('unknown');
    expect(line.hears('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}')).toBe('unknown');
  });

  it('that nobody waits for any more are late when they are answered, and make room when the line is full', () => {
    const line = new Line();
    for (let n = 0; n < 4; n += 1) line.sends('a/1', `{"jsonrpc":"2.0","id":${n},"method":"x"}`);
    expect(() => line.sends('a/1', '{"jsonrpc":"2.0","id":9,"method":"x"}')).toThrow('4 requests in flight');
    const [first, second] = line.entries;
    if (first !== undefined) line.table.abandon(first);
    if (second !== undefined) line.table.abandon(second);
    expect(line.table.inFlight).toBe(2);
    line.sends('a/1', '{"jsonrpc":"2.0","id":9,"method":"x"}');
    expect(line.hears('{"jsonrpc":"2.0","id":1,"result":{}}')).toBe('unknown');
    expect(line.hears('{"jsonrpc":"2.0","id":2,"result":{}}')).toBe('late');
    expect(line.table.inFlight).toBe(3);
  });
});

describe('progress', () => {
  const request = (id: number, token: string): string =>
    `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"_meta":{"progressToken":${token}},"name":"t"}}`;

  it('tokens are those of the line, and come back as their client made them', () => {
    const line = new Line();
    expect(line.sends('a/1', request(5, '0'))).toBe(
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":1},"name":"t"}}',
    );
    line.sends('b/1', request(5, '"0"'));
    const progress = (token: string): string =>
      `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":${token},"progress":1.0}}`;
    expect(line.hears(progress('2'))).toBe(`related for b/1: ${progress('"0"')}`);
    expect(line.hears(progress('1'))).toBe(`related for a/1: ${progress('0')}`);
    line.hears('{"jsonrpc":"2.0","id":1,"result":{}}');
    expect(line.hears(progress('1'))).toBe('late');
    expect(line.hears(progress('"0"'))).toBe('unknown');
  });

  it('goes on after the answer when the request became a task', () => {
    const line = new Line();
    line.sends(
      'a/1',
      '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"task":{"ttl":1},"_meta":{"progressToken":"t"}}}',
    );
    line.hears('{"jsonrpc":"2.0","id":1,"result":{"task":{"taskId":"x"}}}');
    expect(
      line.hears('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":2}}'),
    ).toBe(
      'homeless for a: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":2}}',
    );
  });
});

describe('cancellation', () => {
  const cancel = (id: string): string =>
    `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id},"reason":"r"}}`;

  it('by a client names the request on the line, of its own session only', () => {
    const line = new Line();
    line.sends('a/1', '{"jsonrpc":"2.0","id":1,"method":"x"}');
    line.sends('b/1', '{"jsonrpc":"2.0","id":1,"method":"x"}');
    expect(line.sends('b/2', cancel('1'))).toBe(cancel('2'));
    expect(line.sends('b/2', cancel('"1"'))).toBeUndefined();
    expect(line.sends('c/2', cancel('1'))).toBeUndefined();
  });

  it('by the server names its own request as the client saw it', () => {
    const line = new Line();
    const ask = read('{"jsonrpc":"2.0","id":0,"method":"sampling/createMessage","params":{}}');
    expect(line.table.serverRequest(ask, 'a', 'a/1')).toBe(
      '{"jsonrpc":"2.0","id":"p-1","method":"sampling/createMessage","params":{}}',
    );
    expect(line.hears(cancel('0'))).toBe(`homeless for a a/1: ${cancel('"p-1"')}`);
    expect(line.sends('a/2', '{"jsonrpc":"2.0","id":"p-1","result":{}}')).toBeUndefined();
    expect(line.hears(cancel('0'))).toBe('unknown');
  });
});

describe('requests of the server', () => {
  it('are answered once, by their own client only', () => {
    const line = new Line();
    const ask = (id: string): Message => read(`{"jsonrpc":"2.0","id":${id},"method":"roots/list"}`);
    line.table.serverRequest(ask('7'), 'a', undefined);
    expect(line.table.serverRequest(ask('"7"'), 'b', undefined)).toBe(
      '{"jsonrpc":"2.0","id":"p-2","method":"roots/list"}',
    );
    expect(line.sends('b/1', '{"jsonrpc":"2.0","id":"p-1","result":{"roots":[]}}')).toBeUndefined();
    expect(line.sends('b/1', '{"jsonrpc":"2.0","id":"p-2","result":{"roots":[]}}')).toBe(
      '{"jsonrpc":"2.0","id":"7","result":{"roots":[]}}',
    );
    expect(line.sends('a/1', '{"jsonrpc":"2.0","id":"p-1","error":{"code":-1,"message":"no"}}')).toBe(
      '{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}',
    );
    expect(line.sends('a/1', '{"jsonrpc":"2.0","id":"p-1","result":{}}')).toBeUndefined();
  });
});

describe('subscriptions', () => {
  const KEY = 'io.modelcontextprotocol/subscriptionId';
  const changed = (id: string): string =>
    `{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"${KEY}":${id}}}}`;

  it('are known by the id of their request, up to the answer that ends them', () => {
    const line = new Line();
    line.sends('a', '{"jsonrpc":"2.0","id":"listen-1","method":"subscriptions/listen","params":{}}', 'modern');
    expect(line.hears(changed('1'))).toBe(`related for a: ${changed('"listen-1"')}`);
    expect(line.hears(changed('2'))).toBe('unknown');
    const end = (id: string): string => `{"jsonrpc":"2.0","id":${id},"result":{"_meta":{"${KEY}":${id}}}}`;
    expect(line.hears(end('1'))).toBe(`answer for a: ${end('"listen-1"')}`);
  });

  it('are ended by a notification too', () => {
    const line = new Line();
    line.sends('a', '{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{}}', 'modern');
    expect(line.hears('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')).toBe(
      'ended for a: {"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}',
    );
    expect(line.table.inFlight).toBe(0);
  });
});
