#!/usr/bin/env node
import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/*
 * The command that the official conformance suite starts as its client: `conformance-stub.js DRIVER URL`. Hands the suite's URL
 * and what it says by environment variables to the driver, prints what the driver has to say, and ends as that client ends. A whole
 * client in each of these processes would spend most of its time on being loaded.
 */

const [driver = '', url = ''] = process.argv.slice(2);
const { MCP_CONFORMANCE_SCENARIO, MCP_CONFORMANCE_CONTEXT, MCP_CONFORMANCE_PROTOCOL_VERSION } = process.env;
const asked = request(driver, { method: 'POST' }, (answer) => {
  text(answer).then((said) => {
    process.stderr.write(said);
    process.exitCode = answer.statusCode === 200 ? 0 : 1;
  }, failed);
});
asked.on('error', failed);
asked.end(
  JSON.stringify({
    url,
    scenario: MCP_CONFORMANCE_SCENARIO ?? '',
    context: JSON.parse(MCP_CONFORMANCE_CONTEXT ?? '{}'),
    modern: MCP_CONFORMANCE_PROTOCOL_VERSION === '2026-07-28',
  }),
);

function failed(error: unknown): void {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
}
