import { ProxyError } from '@shadowcat/kernel';
import { parseMessages } from '@shadowcat/wire';
import { MESSAGE_LIMITS } from '../parse-record.js';
import { CaptureMaker, type CaptureParts } from './capture-maker.js';
import { readHar } from './har.js';
import { pairedExchanges } from './http-sse-pairs.js';
import type { Decode, ImportedExchange, ImportedLine, ImportFormat } from './imported.js';
import { Losses } from './losses.js';
import { mergeLines } from './merge-lines.js';
import { readFlows } from './mitmproxy.js';
import { isTimeless, type PickedExchange, pickExchanges } from './pick-exchanges.js';
import { playExchanges } from './play-exchanges.js';
import { playLines, type SpokenLine } from './play-lines.js';
import { readStdioLog } from './stdio-log.js';
import { toldLines } from './told-lines.js';
import { trafficSecrets } from './traffic-secrets.js';

export interface ImportOptions {
  readonly format: ImportFormat;
  /** The endpoint whose traffic is meant, when the file has several. */
  readonly url?: string | undefined;
  readonly decode: Decode;
}

/** Traffic that was read from a file of another tool, before it is a tape. */
export interface ImportedTraffic {
  /** Milliseconds since the epoch; `undefined`: the file does not say. */
  readonly began: number | undefined;
  /** Values of header fields, cookies and URLs that are secrets: to be hidden wherever they come again. */
  readonly secrets: readonly string[];
  /** Whether there are times at all. */
  readonly timed: boolean;
  /** The text of a capture, whole and sealed, and in a sentence each what of the file is not on it. */
  capture(parts: Omit<CaptureParts, 'began'>): Promise<{ readonly text: string; readonly losses: readonly string[] }>;
}

/** Which format a file has, told from how it begins. */
export function detectFormat(bytes: Uint8Array): ImportFormat {
  const head = textOf(bytes.subarray(0, 4096)).trimStart();
  if (/^\d{1,12}:/.test(head)) return 'mitmproxy';
  return /^\{\s*"log"\s*:\s*\{/.test(head) ? 'har' : 'stdio-log';
}

/** UTF-8, or what begins with the mark of UTF-16: so write the shells of Windows. */
function textOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

/**
 * Reads the traffic of one file, or for `stdio-log` of two: what the client wrote, and what the server wrote. The bytes come from anywhere: nothing in
 * them is trusted. Throws `tape_invalid` saying where, for what has not the format, or holds no MCP.
 */
export function importTraffic(files: readonly Uint8Array[], options: ImportOptions): ImportedTraffic {
  const [bytes = new Uint8Array(0), answers] = files;
  if (options.format === 'stdio-log') return importLog(bytes, answers);
  const losses = new Losses(options.format === 'har' ? 'entry' : 'flow');
  const exchanges =
    options.format === 'har' ? readHar(textOf(bytes), losses) : readFlows(bytes, losses, options.decode);
  return importExchanges(exchanges, { url: options.url, losses });
}

function importExchanges(
  exchanges: readonly ImportedExchange[],
  { url, losses }: { readonly url: string | undefined; readonly losses: Losses },
): ImportedTraffic {
  const picked = pickExchanges(pairedExchanges(exchanges, losses), { url, losses });
  const began = isTimeless(picked) ? undefined : picked[0]?.exchange.at;
  const origins = new Set(picked.map(({ exchange }) => originOf(exchange.url)));
  const nearby = exchanges.filter((exchange) => origins.has(originOf(exchange.url)));
  return {
    began,
    timed: began !== undefined,
    secrets: trafficSecrets(nearby),
    async capture(parts) {
      const maker = new CaptureMaker({ ...parts, began });
      const { sockets, posts } = parted(picked);
      for (const socket of sockets) playLines(spoken(socket, losses), maker, losses);
      playExchanges(posts, maker, losses);
      return { text: await maker.finish(), losses: losses.sentences() };
    },
  };
}

function parted(picked: readonly PickedExchange[]): {
  sockets: readonly (readonly ImportedLine[])[];
  posts: PickedExchange[];
} {
  return {
    sockets: picked.flatMap(({ exchange }) => (exchange.frames === undefined ? [] : [exchange.frames])),
    posts: picked.filter(({ exchange }) => exchange.frames === undefined),
  };
}

function originOf(url: string): string {
  return /^[a-z]+:\/\/[^/?#]*/i.exec(url)?.[0] ?? '';
}

function spoken(lines: readonly ImportedLine[], losses: Losses): SpokenLine[] {
  return lines.flatMap(({ at, from, text }): SpokenLine[] => {
    try {
      if (from === 'client' || from === 'server') return [{ from, at, read: parseMessages(text, MESSAGE_LIMITS) }];
    } catch {
      losses.add('text');
    }
    return [{ from: 'text', at, text }];
  });
}

function importLog(bytes: Uint8Array, answers: Uint8Array | undefined): ImportedTraffic {
  const losses = new Losses('line');
  const log = readStdioLog(textOf(bytes));
  const lines =
    answers === undefined
      ? toldLines(log, losses)
      : mergeLines(
          toldLines(
            log.map((line) => ({ ...line, from: line.from ?? 'client' })),
            losses,
          ),
          toldLines(
            readStdioLog(textOf(answers)).map((line) => ({ ...line, from: line.from ?? 'server' })),
            losses,
          ),
        );
  if (answers !== undefined) losses.add('merged');
  const messages = lines.filter(({ from }) => from !== 'text');
  if (messages.length === 0)
    throw new ProxyError(
      'tape_invalid',
      `there is no MCP in it: none of its ${log.length} lines has a JSON-RPC message`,
    );
  const timed = answers === undefined && messages.every(({ at }) => at !== undefined);
  const began = timed ? messages[0]?.at : undefined;
  if (!timed) losses.add('noTimes');
  return {
    began,
    timed,
    secrets: [],
    async capture(parts) {
      const maker = new CaptureMaker({ ...parts, began });
      playLines(lines, maker, losses);
      return { text: await maker.finish(), losses: losses.sentences() };
    },
  };
}
