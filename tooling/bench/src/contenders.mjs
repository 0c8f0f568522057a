// Everything that is measured: how it is started, and which process is the proxy.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childPids } from './machine.mjs';
import { Problem } from './problem.mjs';
import { makeFolder, removeFolder, start } from './processes.mjs';

const require = createRequire(import.meta.url);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const NGINX = 'nginx';
const upstreamScript = here('./upstream.mjs');
const shadowcat = here('../../../apps/cli/dist/main.js');

/**
 * A proxy that runs and can be measured: `url` is its endpoint, `cpuPid` the process whose CPU time counts.
 * @typedef {{ url: string, cpuPid: number, stop: () => Promise<void> }} Running
 */

/** Throws a `Problem` that says what to do when there is nothing to measure yet. */
export function demandBuild() {
  if (existsSync(shadowcat)) return;
  throw new Problem(`there is nothing to measure: ${shadowcat} is not built; run npm run build`);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Resolves when `url` answers, whatever it answers. */
async function answering(url, proxy) {
  let given = false;
  const asking = async () => {
    while (!given) {
      const signal = AbortSignal.timeout(500);
      const answer = await fetch(url, { method: 'GET', headers: { accept: 'text/plain' }, signal }).catch(() => {});
      await answer?.body?.cancel();
      if (answer !== undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  try {
    await proxy.orEnd(asking());
  } finally {
    given = true;
  }
}

/** Adds the URL that `ready` finds out; a process that does not get that far is stopped. */
async function withUrl(proxy, ready) {
  try {
    const url = await ready();
    return { url, cpuPid: proxy.pid, stop: proxy.stop };
  } catch (error) {
    await proxy.stop();
    throw error;
  }
}

/** The server that all HTTP contenders ask; it keeps idle connections for `keepAlive` milliseconds. */
export function startUpstream(keepAlive = 60_000) {
  const upstream = start(process.execPath, [upstreamScript, 'http', '0', String(keepAlive)]);
  return withUrl(upstream, upstream.firstLine);
}

function startFloor(upstreamUrl) {
  const floor = start(process.execPath, [here('./floor.mjs'), upstreamUrl]);
  return withUrl(floor, floor.firstLine);
}

/** A folder that is removed when what runs in it has stopped. */
async function inFolder(run) {
  const folder = makeFolder();
  const remove = () => removeFolder(folder);
  try {
    const proxy = await run(folder);
    return { ...proxy, stop: () => proxy.stop().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

function startNginx(upstreamUrl) {
  return inFolder(async (folder) => {
    const port = await freePort();
    const { host } = new URL(upstreamUrl);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${folder}/${n};`);
    writeFileSync(
      join(folder, 'nginx.conf'),
      `worker_processes 1; daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http { access_log off; ${temporary.join(' ')} keepalive_requests 1000000;
upstream up { server ${host}; keepalive 128; keepalive_requests 1000000; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_buffering off; } } }`,
    );
    const nginx = start(NGINX, ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log')]);
    const url = `http://127.0.0.1:${port}/mcp`;
    const running = await withUrl(nginx, () => answering(url, nginx).then(() => url));
    // The worker does the work.
    return { ...running, cpuPid: childPids(nginx.pid)[0] ?? nginx.pid };
  });
}

/** `args` gets a folder that lives as long as the proxy; `node` are options of Node's own. */
export function startShadowcat(args, node = []) {
  return inFolder((folder) => {
    const own = ['reverse', '--listen', '127.0.0.1:0', '--log-level', 'warn', ...args(folder)];
    const proxy = start(process.execPath, [...node, shadowcat, ...own], { cwd: folder });
    return withUrl(proxy, proxy.firstLine);
  });
}

/** A bridge from npm: it prints no URL, so a port is chosen for it, and its first answer awaited. */
async function startBridge(script, args) {
  const port = await freePort();
  const proxy = start(process.execPath, [script, ...args(String(port))]);
  const url = `http://127.0.0.1:${port}/mcp`;
  return withUrl(proxy, () => answering(url, proxy).then(() => url));
}

function packageFile(name, file) {
  try {
    return join(require.resolve(`${name}/package.json`), '..', file);
  } catch {
    throw new Problem(`${name} is not installed; run npm run build, which installs it`);
  }
}

/** Why nginx cannot take part, or `undefined`. */
function withoutNginx() {
  return spawnSync(NGINX, ['-v']).error === undefined
    ? undefined
    : 'nginx is not installed (Debian and Ubuntu: apt-get install nginx-light)';
}

/** The words that tell Shadowcat, and mcp-proxy, to start a server over stdio. */
export const stdioServer = ['--', process.execPath, upstreamScript, 'stdio'];

/** HTTP in front of HTTP. Each takes the upstream's URL. */
export const httpContenders = [
  { name: 'floor (node:http + undici)', start: startFloor },
  { name: 'nginx', start: startNginx, missing: withoutNginx },
  { name: 'shadowcat', start: (url) => startShadowcat(() => ['--upstream', url]) },
  {
    name: 'shadowcat, recording',
    start: (url) => startShadowcat((folder) => ['--upstream', url, '--record', join(folder, 'tapes')]),
  },
];

/** HTTP in front of a stdio command. */
export const stdioContenders = [
  {
    name: 'mcp-proxy 6.7.19',
    start: () =>
      startBridge(packageFile('mcp-proxy', 'dist/bin/mcp-proxy.mjs'), (port) =>
        ['--host', '127.0.0.1', '--port', port, '--server', 'stream'].concat(stdioServer),
      ),
  },
  {
    name: 'supergateway 4.0.0',
    start: () =>
      startBridge(packageFile('supergateway', 'dist/index.js'), (port) =>
        ['--stdio', `${process.execPath} ${upstreamScript} stdio`, '--outputTransport', 'streamableHttp'].concat([
          '--stateful',
          '--logLevel',
          'none',
          '--port',
          port,
        ]),
      ),
  },
  { name: 'shadowcat', start: () => startShadowcat(() => stdioServer) },
  {
    name: 'shadowcat, recording',
    start: () => startShadowcat((folder) => ['--record', join(folder, 'tapes'), ...stdioServer]),
  },
];
