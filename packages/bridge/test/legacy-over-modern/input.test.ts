import { settled } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { bridgeTo, reader, request, sessionHandle } from './harness.js';

const FORM = { method: 'elicitation/create', params: { message: 'name?', requestedSchema: { n: 1.5 } } };

const needs = (inputRequests: object, requestState?: string) => ({
  result: { resultType: 'input_required', inputRequests, ...(requestState && { requestState }) },
});
const done = { result: { resultType: 'complete', content: [] } };

/** Asks in the first round and answers in the second. */
const asking = (inputRequests: object) =>
  bridgeTo(({ params }) => (params['inputResponses'] === undefined ? needs(inputRequests, 'st"ate') : done), {
    holdMs: 1000,
    max: 2,
  });

const call = request('tools/call', { name: 't', arguments: { big: 1 } });

describe('what a server asks for', () => {
  it('is asked on the stream of the call, and the answers go back with the state under a new id', async () => {
    const { send, rpc, received } = asking({ a: FORM, b: { method: 'roots/list' } });
    const client = reader(await send(call));
    const form = await client.next();
    expect(form).toMatchObject({ jsonrpc: '2.0', ...FORM });
    const roots = await client.next();
    expect(roots).toMatchObject({ method: 'roots/list' });
    expect(form?.['id']).not.toBe(roots?.['id']);
    const first = { jsonrpc: '2.0', id: form?.['id'], result: { action: 'accept', content: { n: 'x' } } };
    expect((await rpc(first)).status).toBe(202);
    expect((await rpc({ jsonrpc: '2.0', id: roots?.['id'], result: { roots: [] } })).status).toBe(202);
    expect(await client.next()).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [] } });
    expect(received[1]?.params).toMatchObject({
      name: 't',
      arguments: { big: 1 },
      inputResponses: { a: { action: 'accept', content: { n: 'x' } }, b: { roots: [] } },
      requestState: 'st"ate',
    });
    expect(received[1]?.id).not.toBe(received[0]?.id);
  });

  it('is taken from the session it was asked of only', async () => {
    const { send, rpc, received } = asking({ a: { method: 'roots/list' } });
    const client = reader(await send(call));
    const question = await client.next();
    const answer = { jsonrpc: '2.0', id: question?.['id'], result: { roots: [] } };
    await rpc(answer, { session: sessionHandle({ id: 'other' }) });
    const next = client.next();
    await settled();
    expect(received).toHaveLength(1);
    await rpc(answer);
    await next;
    expect(received).toHaveLength(2);
  });

  it('fails the call when the client answers with an error, and the other questions are taken back', async () => {
    const { send, rpc } = asking({ a: FORM, b: { method: 'roots/list' } });
    const client = reader(await send(call));
    const [form, roots] = [await client.next(), await client.next()];
    await rpc({ jsonrpc: '2.0', id: form?.['id'], error: { code: -1, message: 'user said no' } });
    expect(await client.next()).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: roots?.['id'] },
    });
    expect(await client.next()).toMatchObject({
      id: 1,
      error: { code: -32603, message: expect.stringContaining('user said no') },
    });
  });

  it('fails the call when nobody answers in time', async () => {
    const { send, clock } = asking({ a: FORM });
    const client = reader(await send(call));
    const question = await client.next();
    const next = client.next();
    await clock.pass(1000);
    expect(await next).toMatchObject({ method: 'notifications/cancelled', params: { requestId: question?.['id'] } });
    expect(await client.next()).toMatchObject({ error: { message: expect.stringContaining('in time') } });
    expect(clock.pending).toBe(0);
  });

  it('is refused when too many questions wait already', async () => {
    const { send, clock } = asking({ a: FORM, b: FORM, c: FORM });
    const client = reader(await send(call));
    expect(await client.next()).toMatchObject({ id: 1, error: { code: -32006 } });
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['has no such capability', {}, FORM, 'capability elicitation'],
    [
      'cannot open URLs',
      { elicitation: {} },
      { method: 'elicitation/create', params: { mode: 'url' } },
      'elicitation.url',
    ],
    [
      'has no tools for sampling',
      { sampling: {} },
      { method: 'sampling/createMessage', params: { tools: [] } },
      'sampling.tools',
    ],
    ['has never heard of it', {}, { method: 'x/y' }, 'x/y'],
  ])('is refused when the client %s', async (_what, capabilities, question, said) => {
    const { rpc } = asking({ a: question });
    const answer = await rpc(call, { session: sessionHandle({ capabilities }) });
    expect(answer.last).toMatchObject({ id: 1, error: { code: -32603, message: expect.stringContaining(said) } });
  });

  it('is refused when the client takes no stream', async () => {
    const { rpc } = asking({ a: FORM });
    const answer = await rpc(call, { headers: { accept: 'application/json' } });
    expect(answer.last).toMatchObject({ error: { message: expect.stringContaining('text/event-stream') } });
  });

  it('has an id of its own where the user is to open a URL', async () => {
    const { send } = asking({ a: { method: 'elicitation/create', params: { mode: 'url', url: 'https://a.example' } } });
    const client = reader(await send(call, { session: sessionHandle({ capabilities: { elicitation: { url: {} } } }) }));
    expect(await client.next()).toMatchObject({
      params: { url: 'https://a.example', elicitationId: expect.stringMatching(/^id-/) },
    });
    await client.leave();
  });

  it('may be nothing but patience', async () => {
    const { send, clock, received } = bridgeTo(({ params }) =>
      params['requestState'] === undefined ? { result: { resultType: 'input_required', requestState: 'wait' } } : done,
    );
    const client = reader(await send(call));
    const next = client.next();
    await clock.pass(250);
    expect(await next).toMatchObject({ result: { content: [] } });
    expect(received[1]?.params['inputResponses']).toBeUndefined();
  });

  it('does not go on forever', async () => {
    const { send, rpc, received } = bridgeTo(() => needs({ a: { method: 'roots/list' } }));
    const client = reader(await send(call));
    for (let message = await client.next(); message !== undefined; message = await client.next()) {
      if (message['method'] === undefined) expect(message).toMatchObject({ error: { code: -32603 } });
      else await rpc({ jsonrpc: '2.0', id: message['id'], result: { roots: [] } });
    }
    expect(received).toHaveLength(21);
  });

  it('is not waited for any more once the call is cancelled', async () => {
    const { send, rpc, clock } = asking({ a: FORM });
    const client = reader(await send(call));
    await client.next();
    const next = client.next();
    await rpc({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    expect(await next).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});
