import { Body, type Exchange, ProxyError, reply } from '@shadowcat/kernel';
import { classifiedExchange, settled } from '@shadowcat/testkit';
import { callSlot, type JsonObject, jsonFraming, MODERN, sseFraming } from '@shadowcat/wire';
import { describe, expect, it } from 'vitest';
import { askedOf, errorOf, join, modern, namesIn, server, textOf, tool } from './support.js';

describe('joined lists', () => {
  it('have the entries of all members, of all their pages, byte for byte', async () => {
    const a = server('a', { tools: ['one', 'two', 'three', 'four', 'five'].map((name) => tool(name)) });
    const b = server('b', { tools: [tool('six')] });
    const raw = '{ "name":"seven", "inputSchema":{"type":"object","maximum":9007199254740993,"x":1.0} }';
    const c = {
      name: 'c',
      handler: async () =>
        reply(
          { status: 200, headers: {} },
          Body.whole(new TextEncoder().encode(`{"jsonrpc":"2.0","id":1,"result":{"tools":[ ${raw} ]}}`), jsonFraming),
        ),
    };
    const { ask, combined } = join([a, b, c]);
    expect(namesIn(await ask('tools/list'))).toEqual(['one', 'two', 'three', 'four', 'five', 'six', 'seven']);
    const answer = await combined(modern('tools/list', {}, {}));
    expect(new TextDecoder().decode(answer.body.ready)).toContain(raw);
  });

  it('are public and keep for the shortest time only when those of all members are', async () => {
    const a = server('a', { tools: [tool('one')] });
    const b = server('b', { tools: [tool('two')] });
    const { ask } = join([a, b]);
    expect((await ask('tools/list'))['result']).toMatchObject({
      ttlMs: 1000,
      cacheScope: 'public',
      resultType: 'complete',
    });
    b.state = 'dead';
    expect((await ask('tools/list'))['result']).toMatchObject({ ttlMs: 0, cacheScope: 'private' });
  });

  it('put the name of the member in front of names that several have, and calls find the way back', async () => {
    const a = server('a', { tools: [tool('search'), tool('read')] });
    const b = server('b', { tools: [tool('search'), tool('write')] });
    const { ask } = join([a, b]);
    expect(namesIn(await ask('tools/list'))).toEqual(['a_search', 'read', 'b_search', 'write']);
    expect(textOf(await ask('tools/call', { name: 'b_search', arguments: { q: 1 } }))).toBe('b tools/call "search"');
    const [call] = askedOf(b, 'tools/call');
    expect(call?.headers).toMatchObject({ 'mcp-name': 'search', 'mcp-method': 'tools/call', 'mcp-param-x': 'kept' });
    expect(call?.params['arguments']).toEqual({ q: 1 });
    expect(textOf(await ask('tools/call', { name: 'read' }))).toBe('a tools/call "read"');
  });

  it('put it in front of all names when that is wanted', async () => {
    const { ask } = join([server('a', { tools: [tool('x')] }), server('b', { tools: [tool('y')] })], {
      prefix: 'always',
    });
    expect(namesIn(await ask('tools/list'))).toEqual(['a_x', 'b_y']);
  });

  it('never show two things by one name, whatever names members think of', async () => {
    const a = server('a', { tools: [tool('x'), tool('b_x'), tool('x')] });
    const b = server('b', { tools: [tool('x')] });
    const { ask } = join([a, b]);
    expect(namesIn(await ask('tools/list'))).toEqual(['a_x', 'b_x', 'b__x']);
    expect(textOf(await ask('tools/call', { name: 'b_x' }))).toBe('a tools/call "b_x"');
    expect(textOf(await ask('tools/call', { name: 'b__x' }))).toBe('b tools/call "x"');
  });

  it('are those that the members have for this client, whatever they say to another one at the same time', async () => {
    const a = server('a', { tools: [tool('one')] });
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let asked = 0;
    const b = {
      name: 'b',
      handler: async (exchange: Exchange) => {
        const at = asked;
        asked += 1;
        await gates[at]?.promise;
        return server('b', { tools: [tool(`of client ${at}`)] }).handler(exchange);
      },
    };
    const { ask } = join([a, b]);
    const asking = [ask('tools/list'), ask('tools/list')];
    gates[0]?.resolve();
    gates[1]?.resolve();
    const answers = await Promise.all(asking);
    expect(answers.map((answer) => namesIn(answer))).toEqual([
      ['one', 'of client 0'],
      ['one', 'of client 1'],
    ]);
    // Both find their way, whoever listed last.
    for (const name of ['of client 0', 'of client 1']) {
      expect(textOf(await ask('tools/call', { name }))).toBe(`b tools/call "${name}"`);
    }
  });

  it('may be longer than what is remembered of old names', async () => {
    const names = (prefix: string) => Array.from({ length: 6000 }, (_, at) => tool(`${prefix}${at}`));
    const page = (tools: JsonObject[]) => async () =>
      reply(
        { status: 200, headers: {} },
        Body.whole(new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools } })), jsonFraming),
      );
    const a = { name: 'a', handler: page(names('x')) };
    const b = server('b', { tools: [] });
    const c = { name: 'c', handler: page(names('y')) };
    const { ask } = join([a, b, c]);
    expect(namesIn(await ask('tools/list'))).toHaveLength(12_000);
    for (const name of ['x0', 'y5999']) {
      expect((await ask('tools/call', { name }))['error']).toBeUndefined();
    }
  });

  it('keep names within the length that clients take', async () => {
    const long = (end: string) => 'x'.repeat(127) + end;
    const lists = { tools: [tool(long('1')), tool(long('2')), tool('x'.repeat(200))] };
    const [a, b] = [server('a', lists), server('b', lists)];
    const { ask } = join([a, b]);
    const names = namesIn(await ask('tools/list')) as string[];
    expect(names.map((name) => name.length)).toEqual([128, 128, 202, 128, 128, 202]);
    expect(new Set(names).size).toBe(6);
    expect(names.every((name, at) => name.startsWith(at < 3 ? 'a_xxx' : 'b_xxx'))).toBe(true);
    expect(textOf(await ask('tools/call', { name: names[4] ?? '' }))).toBe(`b tools/call "${long('2')}"`);
  });

  it('show a URI that several members have once', async () => {
    const a = server('a', { resources: [{ uri: 'file:///x', name: 'x' }] });
    const b = server('b', { resources: [{ uri: 'file:///x', name: 'other' }] });
    const { ask } = join([a, b]);
    expect((await ask('resources/list'))['result']).toMatchObject({ resources: [{ uri: 'file:///x', name: 'x' }] });
  });

  it('are empty, and no error, when members have no such thing', async () => {
    const { ask } = join([server('a', { tools: [] }), server('b')]);
    expect(namesIn(await ask('prompts/list'), 'prompts')).toEqual([]);
  });
});

describe('a member that does not answer', () => {
  it('does not delay or empty the lists of the others for longer than the limit', async () => {
    const a = server('a', { tools: [tool('one')] });
    const b = server('b', { tools: [tool('two')] });
    b.state = 'hanging';
    const { ask, clock, combined } = join([a, b], { listTimeoutMs: 500 });
    const asking = ask('tools/list');
    await clock.pass(499);
    let answered = false;
    void asking.then(() => {
      answered = true;
    });
    await clock.pass(0);
    expect(answered).toBe(false);
    await clock.pass(1);
    expect(namesIn(await asking)).toEqual(['one']);
    expect(combined.stats()).toMatchObject({ partial: 1, missing: { a: 0, b: 1 } });
    expect(textOf(await ask('tools/call', { name: 'one' }))).toBe('a tools/call "one"');
    await combined.close();
    expect(clock.pending).toBe(0);
  });

  it('is shown as it was last', async () => {
    const a = server('a', { tools: [tool('one')] });
    const b = server('b', { tools: [tool('two')] });
    const { ask } = join([a, b]);
    await ask('tools/list');
    b.state = 'dead';
    expect(namesIn(await ask('tools/list'))).toEqual(['one', 'two']);
    const error = await ask('tools/call', { name: 'two' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'upstream_unreachable' });
  });

  it('but to another credential it is not shown at all', async () => {
    const a = server('a', { tools: [tool('one')] });
    const b = server('b', { tools: [tool('two')] });
    const { ask } = join([a, b]);
    await ask('tools/list', {}, 'me');
    b.state = 'dead';
    expect(namesIn(await ask('tools/list', {}, 'you'))).toEqual(['one']);
  });

  it('is waited for while nobody else has answered', async () => {
    const [a, b] = [server('a', { tools: [tool('one')] }), server('b', { tools: [tool('two')] })];
    for (const one of [a, b]) one.state = 'hanging';
    const { ask, clock, combined } = join([a, b], { listTimeoutMs: 100 });
    const asking = [ask('server/discover'), ask('tools/list')] as const;
    await clock.pass(20_000);
    a.release();
    const [about, list] = await Promise.all(asking);
    expect(about['result']).toMatchObject({ capabilities: { tools: {} } });
    expect(namesIn(list)).toEqual(['one']);
    await combined.close();
    expect(clock.pending).toBe(0);
  });

  it('nor is it when all of them hang and there is something to show', async () => {
    const [a, b] = [server('a', { tools: [tool('one')] }), server('b', { tools: [tool('two')] })];
    const { ask, clock, combined } = join([a, b], { listTimeoutMs: 3000 });
    await ask('tools/list');
    for (const one of [a, b]) one.state = 'hanging';
    for (const patience of [3000, 100]) {
      const asking = ask('tools/list');
      await clock.pass(patience);
      expect(namesIn(await asking)).toEqual(['one', 'two']);
    }
    await combined.close();
  });

  it('is not waited for in one list when it is late with another, or with its failure', async () => {
    const b = server('b', { tools: [tool('two')], prompts: [{ name: 'p' }] });
    b.state = 'hanging';
    const { ask, clock, combined } = join([server('a', { tools: [], prompts: [] }), b], { listTimeoutMs: 3000 });
    const slowly = ask('tools/list');
    await clock.pass(2000);
    b.state = 'dead';
    b.fail();
    await slowly;
    b.state = 'hanging';
    const asking = ask('prompts/list');
    await clock.pass(100);
    expect(namesIn(await asking, 'prompts')).toEqual([]);
    await combined.close();
  });

  it('is waited for as before as soon as anybody has had an answer of it', async () => {
    const b = server('b', { tools: [tool('two')] });
    const { ask, clock, combined } = join([server('a', { tools: [tool('one')] }), b], { listTimeoutMs: 3000 });
    b.state = 'hanging';
    const stuck = Array.from({ length: 6 }, () => ask('tools/list', {}, 'me'));
    await clock.pass(3000);
    await Promise.all(stuck);
    b.state = 'up';
    // The ones that hang still do, but another one has an answer.
    expect(namesIn(await ask('prompts/list', {}, 'you'), 'prompts')).toEqual([]);
    b.state = 'hanging';
    const asking = ask('prompts/list', {}, 'her');
    await clock.pass(2999);
    b.release();
    expect(namesIn(await asking, 'prompts')).toEqual([]);
    await combined.close();
  });

  it('is an error only when nobody answers', async () => {
    const a = server('a', { tools: [tool('one')] });
    a.state = 'dead';
    await expect(join([a]).ask('tools/list')).rejects.toMatchObject({ code: 'upstream_unreachable' });
  });

  it('is told of in the log once, until it answers again', async () => {
    const b = server('b', { tools: [tool('two')] });
    b.state = 'dead';
    const { ask, warnings } = join([server('a', { tools: [tool('one')] }), b]);
    for (let round = 0; round < 3; round += 1) {
      await ask('server/discover');
      await ask('tools/list');
    }
    expect(warnings).toHaveLength(2);
    b.state = 'up';
    await ask('tools/list');
    b.state = 'dead';
    await ask('tools/list');
    expect(warnings).toHaveLength(3);
  });

  it('is not asked ever more while it hangs', async () => {
    const b = server('b', { tools: [tool('two')] });
    b.state = 'hanging';
    let asked = 0;
    const counted = {
      name: 'b',
      handler: (exchange: Exchange) => {
        asked += 1;
        return b.handler(exchange);
      },
    };
    const { ask, clock, combined } = join([server('a', { tools: [tool('one')] }), counted], { listTimeoutMs: 100 });
    for (let round = 0; round < 10; round += 1) {
      const asking = ask('tools/list');
      await clock.pass(100);
      expect(namesIn(await asking)).toEqual(['one']);
    }
    expect(asked).toBe(4);
    await combined.close();
  });

  it('is not given up for who has nothing to show yet, however many wait for it', async () => {
    const b = server('b', { tools: [tool('two')] });
    b.state = 'hanging';
    const { ask, clock, combined } = join([b], { listTimeoutMs: 100 });
    const asking = ['me', 'me', 'me', 'me', 'me', 'you'].flatMap((who) => [
      ask('server/discover', {}, who),
      ask('tools/list', {}, who),
    ]);
    await clock.pass(200);
    asking.push(ask('tools/list', {}, 'me'), ask('tools/list', {}, 'you'));
    await clock.pass(5000);
    b.release();
    for (const answer of await Promise.all(asking)) expect(answer['error']).toBeUndefined();
    await combined.close();
    expect(clock.pending).toBe(0);
  });

  it('is not waited for again while it is late', async () => {
    const b = server('b', { tools: [tool('two')] });
    b.state = 'hanging';
    const { ask, clock, combined } = join([server('a', { tools: [tool('one')] }), b], { listTimeoutMs: 5000 });
    for (const patience of [5000, 100, 100]) {
      const asking = ask('tools/list');
      await clock.pass(patience);
      expect(namesIn(await asking)).toEqual(['one']);
    }
    b.release();
    await settled();
    expect(namesIn(await ask('tools/list'))).toEqual(['one', 'two']);
    await combined.close();
  });

  it('is asked by everybody at once while it answers', async () => {
    const { ask } = join([server('a', { tools: [tool('one')] }), server('b', { tools: [tool('two')] })]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('tools/list')));
    for (const answer of answers) expect(namesIn(answer)).toEqual(['one', 'two']);
  });

  it('keeps its names: a tool that was unique is found after another member has come with the same name', async () => {
    const a = server('a', { tools: [tool('search')] });
    const b = server('b', { tools: [tool('search')] });
    b.state = 'dead';
    const { ask } = join([a, b]);
    expect(namesIn(await ask('tools/list'))).toEqual(['search']);
    b.state = 'up';
    expect(namesIn(await ask('tools/list'))).toEqual(['a_search', 'b_search']);
    expect(textOf(await ask('tools/call', { name: 'search' }))).toBe('a tools/call "search"');
  });

  it('and a name with the prefix is found when it has none any more', async () => {
    const a = server('a', { tools: [tool('search')] });
    const { ask } = join([a, server('b', { tools: [] })]);
    expect(namesIn(await ask('tools/list'))).toEqual(['search']);
    expect(textOf(await ask('tools/call', { name: 'a_search' }))).toBe('a tools/call "search"');
  });
});

describe('a call', () => {
  it('of a tool that was never listed is looked for', async () => {
    const { ask } = join([server('a', { tools: [tool('one')] }), server('b', { tools: [tool('two')] })]);
    expect(textOf(await ask('tools/call', { name: 'two' }))).toBe('b tools/call "two"');
  });

  it('of a tool that nobody has says so, and whom it asked', async () => {
    const { ask } = join([server('a', { tools: [] }), server('b', { tools: [] })]);
    expect(errorOf(await ask('tools/call', { name: 'nope' }))).toMatchObject({
      code: -32602,
      message: 'Unknown tool: nope (none of a, b has it)',
    });
  });

  it('of a tool that nobody lists goes to the member whose name is in front', async () => {
    const [a, b] = [server('a', { tools: [tool('one')] }), server('a_b', { tools: [tool('two')] })];
    const { ask } = join([a, b]);
    expect(textOf(await ask('tools/call', { name: 'a_hidden' }))).toBe('a tools/call "hidden"');
    expect(textOf(await ask('tools/call', { name: 'a_b_hidden' }))).toBe('a_b tools/call "hidden"');
    b.state = 'dead';
    await expect(ask('tools/call', { name: 'a_b_other' })).rejects.toMatchObject({ code: 'upstream_unreachable' });
  });

  it('of a tool that nobody lists says who could not be asked', async () => {
    const b = server('b');
    b.state = 'dead';
    const answer = await join([server('a', { tools: [tool('one')] }), b]).ask('tools/call', { name: 'two' });
    expect(errorOf(answer)['message']).toBe(
      'Unknown tool: two (none of a has it; not known of b, which cannot be asked now)',
    );
  });

  it('without a name is refused', async () => {
    expect(errorOf(await join([server('a')]).ask('tools/call', {}))).toMatchObject({ code: -32602 });
  });

  it('of a prompt, and its completion, go to whose it is', async () => {
    const a = server('a', { prompts: [{ name: 'p' }] });
    const b = server('b', { prompts: [{ name: 'p' }] });
    const { ask } = join([a, b]);
    await ask('prompts/list');
    expect(textOf(await ask('prompts/get', { name: 'b_p' }))).toBe('b prompts/get "p"');
    await ask('completion/complete', { ref: { type: 'ref/prompt', name: 'b_p' }, argument: { name: 'x', value: '' } });
    expect(askedOf(b, 'completion/complete')[0]?.params['ref']).toEqual({ type: 'ref/prompt', name: 'p' });
    expect(askedOf(a, 'completion/complete')).toEqual([]);
  });

  it('of a resource goes to whoever lists it, has a template for it, or can read it', async () => {
    const a = server('a', { resources: [{ uri: 'a://1' }] });
    const b = server('b', { 'resources/templates': [{ uriTemplate: 'b://{id}/text' }] });
    const c = server('c');
    for (const [one, uri] of [
      [a, 'a://1'],
      [b, 'b://7/text'],
      [c, 'c://hidden'],
    ] as const)
      one.readable.add(uri);
    const { ask } = join([a, b, c]);
    for (const uri of ['a://1', 'b://7/text', 'c://hidden']) {
      expect((await ask('resources/read', { uri }))['result']).toMatchObject({ contents: [{ text: uri[0] }] });
    }
    expect(askedOf(a, 'resources/read').map(({ params }) => params['uri'])).toEqual(['a://1', 'c://hidden']);
    expect(errorOf(await ask('resources/read', { uri: 'd://' }))).toMatchObject({ message: 'a has no d://' });
  });

  it('of a resource that a dead member may have is no "not found"', async () => {
    const a = server('a');
    const b = server('b');
    b.state = 'dead';
    await expect(join([a, b]).ask('resources/read', { uri: 'x://' })).rejects.toBeInstanceOf(ProxyError);
  });

  it('of a resource that nobody lists goes on to the next when one refuses, by a stream or by HTTP alone', async () => {
    const streaming = {
      name: 's',
      handler: async (exchange: Exchange) =>
        exchange.context.get(callSlot)?.method === 'resources/read'
          ? reply(
              { status: 200, headers: { 'content-type': 'text/event-stream' } },
              Body.whole(
                new TextEncoder().encode('data: {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}\n\n'),
                sseFraming,
              ),
            )
          : server('s').handler(exchange),
    };
    const failing = { name: 'f', handler: async () => reply({ status: 500, headers: {} }) };
    const c = server('c');
    c.readable.add('c://hidden');
    const { ask } = join([streaming, failing, c]);
    expect((await ask('resources/read', { uri: 'c://hidden' }))['result']).toMatchObject({ contents: [{ text: 'c' }] });
  });

  it('of a resource that nobody lists waits for one that hangs no longer than a list does', async () => {
    const [a, b] = [server('a'), server('b')];
    b.readable.add('b://hidden');
    const { ask, clock, combined } = join([a, b], { listTimeoutMs: 1000 });
    a.state = 'hanging';
    const listing = ask('resources/list');
    await clock.pass(1000);
    await listing;
    const reading = [ask('resources/read', { uri: 'b://hidden' }), ask('resources/read', { uri: 'x://' })] as const;
    const failure = reading[1].catch((error: unknown) => error);
    await clock.pass(100);
    expect((await reading[0])['result']).toMatchObject({ contents: [{ text: 'b' }] });
    await clock.pass(1000);
    expect(await failure).toMatchObject({ code: 'upstream_timeout' });
    await combined.close();
  });

  it('that does not say what a modern request must say is refused', async () => {
    const { combined } = join([server('a', { tools: [tool('one')] })]);
    const refused = async (meta: JsonObject | undefined): Promise<unknown> => {
      const body = { jsonrpc: '2.0' as const, id: 1, method: 'tools/list', params: { _meta: meta ?? null } };
      const answer = await combined(classifiedExchange({ headers: { 'mcp-protocol-version': MODERN }, body }));
      const { error } = JSON.parse(new TextDecoder().decode(answer.body.ready)) as { error: JsonObject };
      return [answer.head.status, error['code']];
    };
    const version = 'io.modelcontextprotocol/protocolVersion';
    const capabilities = { 'io.modelcontextprotocol/clientCapabilities': {} };
    expect(await refused({ [version]: MODERN })).toEqual([400, -32602]);
    expect(await refused({ [version]: '2099-01-01', ...capabilities })).toEqual([400, -32022]);
  });

  it('of a method that cannot be divided is refused', async () => {
    expect(errorOf(await join([server('a')]).ask('vendor/odd'))).toMatchObject({ code: -32601 });
  });

  it('comes with who the client is, and without what belongs to another request', async () => {
    const a = server('a', { tools: [tool('one')] });
    await join([a]).ask('tools/list');
    const [{ params } = { params: {} as JsonObject }] = askedOf(a, 'tools/list');
    expect(params['_meta']).toMatchObject({ 'io.modelcontextprotocol/clientInfo': { name: 'test' } });
    expect(params['_meta']).not.toHaveProperty('progressToken');
  });
});

describe('discovery', () => {
  it('offers what any member can do, under a name of its own', async () => {
    const a = server('a');
    const b = server('b');
    a.instructions = 'Be kind.';
    b.capabilities = { resources: { subscribe: true }, logging: {} };
    const { result } = (await join([a, b]).ask('server/discover')) as { result: JsonObject };
    expect(result).toMatchObject({
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: { listChanged: true }, resources: { listChanged: true, subscribe: true }, logging: {} },
      instructions: '# a\n\nBe kind.',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'joined', version: '1.2.3' } },
    });
    expect(result['capabilities']).not.toHaveProperty('prompts');
  });

  it('offers everything while a member does not say what it can, and does not wait for it', async () => {
    const a = server('a');
    const b = server('b');
    b.state = 'hanging';
    const { ask, clock, combined } = join([a, b], { listTimeoutMs: 300 });
    const asking = ask('server/discover');
    await clock.pass(300);
    expect((await asking)['result']).toMatchObject({
      capabilities: { prompts: { listChanged: true }, completions: {} },
    });
    await combined.close();
    expect(clock.pending).toBe(0);
  });

  it('does not wait again for a member that is late, and offers what it said last', async () => {
    const [a, b] = [server('a'), server('b')];
    b.capabilities = { logging: {} };
    b.instructions = 'Be quick.';
    const { ask, clock, combined } = join([a, b], { listTimeoutMs: 3000 });
    await ask('server/discover');
    b.state = 'hanging';
    for (const patience of [3000, 100]) {
      const asking = ask('server/discover');
      await clock.pass(patience);
      const { result } = (await asking) as { result: JsonObject };
      expect(result).toMatchObject({ capabilities: { logging: {} }, instructions: '# b\n\nBe quick.' });
      expect(result['capabilities']).not.toHaveProperty('prompts');
    }
    await combined.close();
  });
});

describe('a subscription', () => {
  const ALL = { toolsListChanged: true, promptsListChanged: true };

  it('begins with the acknowledgement and brings what all members say, tagged as its own', async () => {
    const a = server('a', { tools: [] });
    const b = server('b', { tools: [] });
    const { listen, combined } = join([a, b]);
    const heard = await listen({ ...ALL, resourceSubscriptions: ['x://1'] });
    const first = await heard.next();
    expect(first).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { ...ALL, resourceSubscriptions: ['x://1'] } },
    });
    const id = (first['params'] as { _meta: JsonObject })._meta['io.modelcontextprotocol/subscriptionId'];
    for (const one of [a, b]) {
      one.say('notifications/resources/updated', { uri: 'x://1' });
      expect(await heard.next()).toMatchObject({
        method: 'notifications/resources/updated',
        params: { uri: 'x://1', _meta: { 'io.modelcontextprotocol/subscriptionId': id } },
      });
    }
    await heard.leave();
    expect([a.listening, b.listening, combined.stats().listeners]).toEqual([0, 0, 0]);
  });

  it('says that the list has changed when a member that was left out is back', async () => {
    const a = server('a', { tools: [tool('one')] });
    const b = server('b', { tools: [tool('two')] });
    b.state = 'dead';
    const { listen, ask, clock, combined } = join([a, b]);
    const opening = listen({ toolsListChanged: true });
    await clock.pass(3000);
    const heard = await opening;
    await heard.next();
    expect(namesIn(await ask('tools/list'))).toEqual(['one']);
    await clock.pass(3000);
    b.state = 'up';
    const next = heard.next();
    await clock.pass(30_000);
    expect(await next).toMatchObject({ method: 'notifications/tools/list_changed' });
    expect(namesIn(await ask('tools/list'))).toEqual(['one', 'two']);
    await heard.leave();
    await combined.close();
    expect(clock.pending).toBe(0);
  });

  it('says so at once, also while another one hangs', async () => {
    const [a, b, c] = [server('a', { tools: [tool('one')] }), server('b', { tools: [tool('two')] }), server('c')];
    const { listen, ask, clock, combined } = join([a, b, c], { listTimeoutMs: 1000 });
    const heard = await listen({ toolsListChanged: true });
    await heard.next();
    b.state = 'dead';
    c.state = 'hanging';
    const asking = ask('tools/list');
    await clock.pass(1000);
    expect(namesIn(await asking)).toEqual(['one']);
    // The first time that both are asked again; the one that hangs hangs.
    await clock.pass(1000);
    b.state = 'up';
    const next = heard.next();
    await clock.pass(2000);
    expect(await next).toMatchObject({ method: 'notifications/tools/list_changed' });
    await heard.leave();
    await combined.close();
    expect(clock.pending).toBe(0);
  });

  it('says so when a member can be listened to that could not be before: what it announced meanwhile is lost', async () => {
    const a = server('a', { tools: [tool('one')] });
    a.state = 'dead';
    const { listen, clock } = join([a], { listTimeoutMs: 100 });
    const opening = listen({ toolsListChanged: true });
    await clock.pass(100);
    const heard = await opening;
    await heard.next();
    a.state = 'up';
    await clock.pass(1000);
    expect(await heard.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await heard.leave();
  });

  it('says so as well when a slow member answers at last', async () => {
    const a = server('a', { tools: [tool('one')] });
    const b = server('b', { tools: [tool('two')] });
    const { listen, ask, clock, combined } = join([a, b], { listTimeoutMs: 100 });
    const heard = await listen({ toolsListChanged: true });
    await heard.next();
    b.state = 'hanging';
    const asking = ask('tools/list');
    await clock.pass(100);
    expect(namesIn(await asking)).toEqual(['one']);
    b.release();
    await settled();
    expect(await heard.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await heard.leave();
    await combined.close();
  });

  it('does not wait again for a member that is late', async () => {
    const b = server('b', { tools: [tool('two')] });
    b.state = 'hanging';
    const { ask, listen, clock, combined } = join([server('a', { tools: [] }), b], { listTimeoutMs: 3000 });
    const asking = ask('tools/list');
    await clock.pass(3000);
    await asking;
    const opening = listen({ toolsListChanged: true });
    await clock.pass(100);
    expect(await (await opening).next()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' });
    await combined.close();
  });

  it('is taken up again with a member that broke it, and says that its lists may be others', async () => {
    const a = server('a', { tools: [] });
    const { listen, clock } = join([a]);
    const heard = await listen({ toolsListChanged: true });
    await heard.next();
    a.hangUp();
    await settled();
    expect(a.listening).toBe(0);
    await clock.pass(1000);
    expect(a.listening).toBe(1);
    expect(await heard.next()).toMatchObject({ method: 'notifications/tools/list_changed' });
    await heard.leave();
  });

  it('stays open, and quiet, when no member has subscriptions', async () => {
    const dumb = {
      name: 'd',
      handler: async () => reply({ status: 405, headers: {} }, Body.whole(new Uint8Array(), jsonFraming)),
    };
    const { listen, combined } = join([dumb]);
    const heard = await listen({ toolsListChanged: true });
    expect(await heard.next()).toMatchObject({ params: { notifications: { toolsListChanged: true } } });
    await combined.close();
    expect(await heard.next()).toMatchObject({ result: { resultType: 'complete' } });
  });

  it('without a filter is refused', async () => {
    expect(errorOf(await join([server('a')]).ask('subscriptions/listen'))).toMatchObject({ code: -32602 });
  });
});
