import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';

/* log-tee <log> <command> [words]: passes a stdio server on, and keeps a log of it as Claude Desktop's are. */
const [file = '', command = '', ...words] = process.argv.slice(2);
const log = createWriteStream(file);
const said = (text: string): void =>
  void log.write(`${new Date().toISOString()} [fixture] [info] ${text} { metadata: undefined }\n`);
const server = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
said('Server started and connected successfully');
const pass = (input: NodeJS.ReadableStream, output: NodeJS.WritableStream, from: string): void => {
  const lines = createInterface({ input });
  lines.on('line', (line) => {
    said(`Message from ${from}: ${line}`);
    output.write(`${line}\n`);
  });
  lines.on('close', () => output.end());
};
pass(process.stdin, server.stdin, 'client');
pass(server.stdout, process.stdout, 'server');
server.on('exit', () => log.end());
