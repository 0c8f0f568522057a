// Everything that is measured: how it is started, and which process is the proxy.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const upstreamScript = here('./upstream.mjs');
const shadowcat = here('../../../apps/cli/dist/main.js');

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a process in a group of its own; `stop` ends the whole group. */
function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
  let output = '';
  const lines = [];
  const waiters = [];
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (waiters.length > 0 && output.includes('\n'))
      for (const waiter of waiters.splice(0)) waiter(output.split('\n')[0]);
  });
  child.stderr.on('data', (chunk) => {
    lines.push(String(chunk));
    if (lines.length > 50) lines.shift();
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.once('error', (error) => lines.push(String(error)));
  return {
    pid: child.pid,
    firstLine: () =>
      new Promise((resolve, reject) => {
        if (output.includes('\n')) return resolve(output.split('\n')[0]);
        waiters.push(resolve);
        exited.then(() => reject(new Error(`${command} ended: ${lines.join('').slice(-500)}`)));
      }),
    async stop() {
      try {
        process.kill(-child.pid, 'SIGTERM');
      } catch {}
      const timer = setTimeout(() => {
        try {
          process.kill(-child.pid, 'SIGKILL');
        } catch {}
      }, 5000);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function answering(url, process_) {
  for (let i = 0; i < 200; i++) {
    try {
      await fetch(url, { method: 'GET', headers: { accept: 'text/plain' }, signal: AbortSignal.timeout(500) });
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await process_.stop();
  throw new Error(`nothing answers at ${url}`);
}

export const startUpstream = async () => {
  const upstream = start(process.execPath, [upstreamScript, 'http', '0']);
  return { ...upstream, url: await upstream.firstLine() };
};

async function startFloor(upstreamUrl) {
  const floor = start(process.execPath, [here('./floor.mjs'), upstreamUrl]);
  return { ...floor, url: await floor.firstLine(), cpuPid: floor.pid };
}

function childPids(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

async function startNginx(upstreamUrl) {
  const folder = mkdtempSync(join(tmpdir(), 'shadowcat-bench-'));
  const port = await freePort();
  const { host } = new URL(upstreamUrl);
  const conf = `worker_processes 1; daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; keepalive_requests 1000000;
upstream up { server ${host}; keepalive 128; keepalive_requests 1000000; }
server { listen 127.0.0.1:${port}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_buffering off; } } }`;
  writeFileSync(join(folder, 'nginx.conf'), conf);
  const nginx = start('nginx', ['-c', join(folder, 'nginx.conf'), '-p', folder]);
  const url = `http://127.0.0.1:${port}/mcp`;
  await answering(url, nginx);
  return {
    ...nginx,
    url,
    cpuPid: childPids(nginx.pid)[0] ?? nginx.pid,
    stop: async () => {
      await nginx.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startShadowcat(args) {
  const folder = mkdtempSync(join(tmpdir(), 'shadowcat-bench-'));
  const proxy = start(
    process.execPath,
    [shadowcat, 'reverse', '--listen', '127.0.0.1:0', '--log-level', 'warn', ...args(folder)],
    {
      cwd: folder,
    },
  );
  return {
    ...proxy,
    url: await proxy.firstLine(),
    cpuPid: proxy.pid,
    stop: async () => {
      await proxy.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A proxy that prints no URL: a port is chosen for it, and its first answer awaited. */
async function startOnPort(command, args) {
  const port = await freePort();
  const proxy = start(command, args(port));
  const url = `http://127.0.0.1:${port}/mcp`;
  await answering(url, proxy);
  return { ...proxy, url, cpuPid: proxy.pid };
}

const packageFile = (name, file) => join(require.resolve(`${name}/package.json`), '..', file);
const stdioServer = ['--', process.execPath, upstreamScript, 'stdio'];

/** HTTP in front of HTTP. Each takes the upstream's URL. */
export const httpContenders = [
  { name: 'floor (node:http + undici)', start: startFloor },
  { name: 'nginx', start: startNginx, needs: 'nginx' },
  { name: 'shadowcat', start: (url) => startShadowcat(() => ['--upstream', url]) },
  {
    name: 'shadowcat, recording',
    start: (url) => startShadowcat((dir) => ['--upstream', url, '--record', join(dir, 'tapes')]),
  },
];

/** HTTP in front of a stdio command. */
export const stdioContenders = [
  {
    name: 'mcp-proxy 6.7.19',
    start: () =>
      startOnPort(process.execPath, (port) => [
        packageFile('mcp-proxy', 'dist/bin/mcp-proxy.mjs'),
        '--host',
        '127.0.0.1',
        '--port',
        String(port),
        '--server',
        'stream',
        ...stdioServer,
      ]),
  },
  {
    name: 'supergateway 4.0.0',
    start: () =>
      startOnPort(process.execPath, (port) => [
        packageFile('supergateway', 'dist/index.js'),
        '--stdio',
        `${process.execPath} ${upstreamScript} stdio`,
        '--outputTransport',
        'streamableHttp',
        '--stateful',
        '--logLevel',
        'none',
        '--port',
        String(port),
      ]),
  },
  { name: 'shadowcat', start: () => startShadowcat(() => stdioServer) },
  {
    name: 'shadowcat, recording',
    start: () => startShadowcat((dir) => ['--record', join(dir, 'tapes'), ...stdioServer]),
  },
];

const TICKS = 100;

/** CPU seconds (user and system) that process `pid` has used, its waited-for children excluded. Linux. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Resident memory of process `pid` in MiB. Linux. */
export function memoryMiB(pid) {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/);
  return Number(line?.[1] ?? 0) / 1024;
}

export const openDescriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;
