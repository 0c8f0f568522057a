import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from './process-table.js';

/**
 * An MCP server that starts in two milliseconds, so that hundreds of them can: a shell loop that answers `initialize` with
 * what is needed and everything else with its pid. With LEDGER set it writes down when it starts and ends, and what it hears;
 * with FRAGILE set it dies of the first tool that is called, and always of a tool named `die`. The tool `wait` is never answered;
 * that it was cancelled is written down as `given-up`.
 */
const SCRIPT = `
if [ -n "$LEDGER" ]; then
  echo "+ $$" >> "$LEDGER"
  trap 'echo "- $$" >> "$LEDGER"' EXIT
  trap 'exit 143' TERM
fi
while IFS= read -r line; do
  case $line in *'"method":"'*) ;; *) continue ;; esac
  method=\${line#*'"method":"'}
  method=\${method%%'"'*}
  if [ -n "$LEDGER" ]; then echo "= $$ $method" >> "$LEDGER"; fi
  if [ "$method" = notifications/cancelled ] && [ -n "$LEDGER" ]; then
    case $line in *'"requestId":'"$waiting"[,\\}]*) echo "= $$ given-up" >> "$LEDGER" ;; esac
  fi
  case $line in *'"id":'*) ;; *) continue ;; esac
  id=\${line#*'"id":'}
  id=\${id%%[,\\}]*}
  if [ "$method" = tools/call ] && [ -n "$FRAGILE" ]; then exit 9; fi
  case $line in
    *'"name":"die"'*) exit 9 ;;
    *'"name":"wait"'*) waiting=$id; continue ;;
  esac
  if [ "$method" = initialize ]; then
    result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"tiny","version":"1"}}'
  else
    result='{"content":[{"type":"text","text":"'$$'"}]}'
  fi
  printf '{"jsonrpc":"2.0","id":%s,"result":%s}\\n' "$id" "$result"
done
`;

/** What the servers of one ledger did. */
export interface Ledger {
  readonly started: number;
  /** The most that ran at the same time. */
  readonly most: number;
  /** Those that did not say that they ended and are still there. */
  readonly alive: readonly number[];
  /** Methods heard, by pid, in order. */
  readonly heard: ReadonlyMap<number, readonly string[]>;
}

export interface TinyServer {
  /** The command line that starts it. */
  readonly command: readonly string[];
  /** To be given to the proxy before the command: lets the server write its ledger. */
  readonly flags: readonly string[];
  ledger(): Promise<Ledger>;
}

/** Puts the server into a folder, which also gets its ledger. */
export async function tinyServer(folder: string): Promise<TinyServer> {
  const script = join(folder, 'tiny.sh');
  const path = join(folder, 'ledger');
  await writeFile(script, SCRIPT);
  await writeFile(path, '');
  return {
    command: ['sh', script],
    flags: ['--env', `LEDGER=${path}`],
    ledger: async () => ledgerOf(await readFile(path, 'utf8')),
  };
}

function ledgerOf(text: string): Ledger {
  const running = new Set<number>();
  const heard = new Map<number, string[]>();
  let started = 0;
  let most = 0;
  for (const line of text.split('\n')) {
    const [what, name, method = ''] = line.split(' ');
    const pid = Number(name);
    if (what === '+') {
      started += 1;
      running.add(pid);
      heard.set(pid, []);
    } else if (what === '-') running.delete(pid);
    else if (what === '=') heard.get(pid)?.push(method);
    most = Math.max(most, running.size);
  }
  return { started, most, alive: [...running].filter(isAlive), heard };
}
