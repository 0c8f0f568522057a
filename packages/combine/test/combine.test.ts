import { Body, type Exchange, ProxyError, reply } from '@shadowcat/kernel';
import { settled } from '@shadowcat/testkit';
import { type JsonObject, jsonFraming } from '@shadowcat/wire';
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

  it('is an error only when nobody answers', async () => {
    const a = server('a', { tools: [tool('one')] });
    a.state = 'dead';
    await expect(join([a]).ask('tools/list')).rejects.toMatchObject({ code: 'upstream_unreachable' });
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
    const { ask, clock } = join([a, b], { listTimeoutMs: 300 });
    const asking = ask('server/discover');
    await clock.pass(300);
    expect((await asking)['result']).toMatchObject({
      capabilities: { prompts: { listChanged: true }, completions: {} },
    });
    expect(clock.pending).toBe(0);
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
