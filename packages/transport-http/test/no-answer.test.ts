import { classifiedExchange } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { nodeServer, REQUEST, upstreamAt } from './support.js';

const NOTIFICATION = '{"jsonrpc":"2.0","method":"notifications/initialized"}';

/** An upstream that answers everything with this. */
async function answering(status: number, type: string | undefined, text: string) {
  const { url } = await nodeServer((request, response) => {
    request.resume();
    response.writeHead(status, type === undefined ? {} : { 'content-type': type }).end(text);
  });
  return upstreamAt(url);
}

describe('a success that holds no message', () => {
  const cases = [
    ['a page', 200, 'text/html; charset=utf-8', '<html>log in</html>', /HTTP 200 and Content-Type text\/html/],
    ['the acceptance of a notification', 202, undefined, '', /HTTP 202 and no Content-Type/],
    ['nothing', 204, undefined, '', /HTTP 204/],
  ] as const;
  it.each(cases)('%s is an error for a request', async (_what, status, type, text, message) => {
    const upstream = await answering(status, type, text);
    const asked = upstream(classifiedExchange({ body: REQUEST }));
    await expect(asked).rejects.toMatchObject({ code: 'upstream_protocol', message: expect.stringMatching(message) });
    expect(upstream.stats().inFlight).toBe(0);
  });

  it.each(cases)('%s is passed on for a notification', async (_what, status, type, text) => {
    const upstream = await answering(status, type, text);
    await using answer = await upstream(classifiedExchange({ body: NOTIFICATION }));
    expect(answer.head.status).toBe(status);
  });
});

it('passes a refusal on as it is, whatever it is made of', async () => {
  const upstream = await answering(500, 'text/html', '<html>oops</html>');
  await using answer = await upstream(classifiedExchange({ body: REQUEST }));
  expect(answer.head.status).toBe(500);
});
