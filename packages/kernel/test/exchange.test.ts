import { describe, expect, it } from 'vitest';
import { Body } from '../src/body.js';
import { Context, slot } from '../src/context.js';
import { BLAME, type ErrorCode, ProxyError } from '../src/errors.js';
import { type Exchange, withExchange } from '../src/exchange.js';
import { headerOf, withHeaders } from '../src/headers.js';

describe('headers', () => {
  const headers = { host: 'a', 'set-cookie': ['x=1', 'y=2'] };
  it.each([
    ['host', 'a'],
    ['set-cookie', 'x=1'],
    ['accept', undefined],
  ])('the first value of %s is %s', (name, value) => {
    expect(headerOf(headers, name)).toBe(value);
  });

  it('are changed in a copy', () => {
    const changed = withHeaders(headers, { host: undefined, accept: '*/*', te: undefined });
    expect(changed).toEqual({ accept: '*/*', 'set-cookie': ['x=1', 'y=2'] });
    expect(Object.keys(changed)).not.toContain('host');
    expect(headers.host).toBe('a');
  });
});

describe('a context', () => {
  it('keeps a value for each slot, also where names are equal', () => {
    const one = slot<number>('same');
    const other = slot<number>('same');
    const context = new Context();
    context.set(one, 1);
    expect(context.get(one)).toBe(1);
    expect(context.get(other)).toBeUndefined();
  });
});

describe('an exchange made from another', () => {
  it('shares signal and context and does not make the signal early', () => {
    let made = 0;
    const controller = new AbortController();
    const original: Exchange = {
      id: 'x',
      head: { method: 'GET', target: '/', headers: {} },
      body: Body.empty,
      get signal() {
        made += 1;
        return controller.signal;
      },
      context: new Context(),
    };
    const head = { method: 'POST', target: '/mcp', headers: {} };
    const changed = withExchange(original, { head });
    expect(made).toBe(0);
    expect(changed.signal).toBe(controller.signal);
    expect(changed.head).toBe(head);
    expect(changed.body).toBe(Body.empty);
    expect(changed.context).toBe(original.context);
    expect(withExchange(original, {}).head).toBe(original.head);
  });
});

describe('ProxyError.from', () => {
  it('keeps a ProxyError', () => {
    const error = new ProxyError('blocked', 'no', { data: { rule: 'x' }, retryAfter: 3 });
    expect(ProxyError.from(error, 'upstream_closed')).toBe(error);
    expect(error).toMatchObject({ blame: 'operator', data: { rule: 'x' }, retryAfter: 3, name: 'ProxyError' });
  });

  const aborted = AbortSignal.abort().reason as unknown;
  const cases: [name: string, thrown: unknown, fallback: ErrorCode | undefined, code: ErrorCode, message: string][] = [
    ['an abort', aborted, 'upstream_closed', 'cancelled', 'the request was cancelled'],
    ['an error', new TypeError('bad'), undefined, 'internal', 'bad'],
    ['an error with a fallback', new Error('reset'), 'upstream_closed', 'upstream_closed', 'reset'],
    ['a text', 'oops', undefined, 'internal', 'oops'],
    ['nothing', undefined, undefined, 'internal', 'undefined'],
    ['what has no text', Object.create(null), undefined, 'internal', 'something without a text was thrown'],
  ];
  it.each(cases)('makes one of %s', (_name, thrown, fallback, code, message) => {
    const error = ProxyError.from(thrown, fallback);
    expect(error).toMatchObject({ code, message });
    expect(error.cause).toBe(thrown);
  });

  it('has no cause where none was given', () => {
    expect('cause' in new ProxyError('internal', 'x')).toBe(false);
  });

  it('knows who is to blame for each code', () => {
    for (const code of Object.keys(BLAME) as ErrorCode[]) expect(new ProxyError(code, '').blame).toBe(BLAME[code]);
  });
});
