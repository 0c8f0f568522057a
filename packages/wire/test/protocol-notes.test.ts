import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { REPLIES } from '../src/replies.js';

const notes = readFileSync(new URL('../../../docs/protocol-notes.md', import.meta.url), 'utf8');

it('docs/protocol-notes.md shows the error table as it is', () => {
  const [, section = ''] = /<!-- errors -->([\s\S]*)<!-- end of errors -->/.exec(notes) ?? [];
  const shown = section.match(/^\| `.*$/gm) ?? [];
  const wanted = Object.entries(REPLIES).map(([code, { status, requestStatus, rpc }]) => {
    const statuses = requestStatus === undefined ? `${status}` : `${status}, ${requestStatus} for a request`;
    return `| \`${code}\` | ${statuses} | ${rpc} |`;
  });
  expect(shown.map((row) => row.split('|').slice(0, 4).join('|').concat('|'))).toEqual(wanted);
});
