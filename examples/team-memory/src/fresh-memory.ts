import { spawn } from 'node:child_process';
import { freshMemory } from './memory-server.ts';

// A memory server on stdin and stdout that remembers nothing yet: what `npm run verify` compares the tapes with.

const { command, args, env } = freshMemory();
const server = spawn(command, args, { stdio: 'inherit', env: { ...process.env, ...env } });
server.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
