import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How the memory server is started. It keeps what it is told in `file`. */
export function memoryServer(file: string): { command: string; args: string[]; env: Record<string, string> } {
  const program = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-memory/dist/index.js'));
  return { command: process.execPath, args: [program], env: { MEMORY_FILE_PATH: file } };
}

/** One that remembers nothing yet: what a test records must not depend on what was recorded before. */
export function freshMemory(): ReturnType<typeof memoryServer> {
  return memoryServer(join(mkdtempSync(join(tmpdir(), 'team-memory-')), 'memory.jsonl'));
}
