import { copyFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { drive } from '../src/clients.js';
import { fixtureServer, startFixture } from '../src/servers.js';
import { runShadowcat, startShadowcat, workFolder } from '../src/shadowcat.js';
it('try', async () => {
  await using fixture = await startFixture();
  await using folder = await workFolder();
  const server = fixtureServer();
  await using proxy = await startShadowcat(['reverse','--bridge','off','--record','t.tape.jsonl','--upstream',fixture.url], folder.path);
  await drive('v1', { url: proxy.url }, { tour: server.tour });
  await proxy.stop();
  await copyFile(folder.path + '/t.tape.jsonl', '/tmp/vt/t.tape.jsonl');
  console.time('verify');
  const ended = await runShadowcat(['verify','t.tape.jsonl','--allow-effects','--first-byte-timeout','10s','--upstream',fixture.url], folder.path);
  console.timeEnd('verify');
  console.log(ended.code, ended.stderr);
  expect(1).toBe(1);
}, 120000);
