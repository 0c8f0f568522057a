import type { ExchangeSummary, TapeSummary, TimelineEntry } from '@shadowcat/tape';
import { seconds, stateOf } from './render.js';

const STYLE = `
:root{color-scheme:light dark}
body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.3rem;overflow-wrap:anywhere} h2{font-size:1.1rem;margin-top:2rem}
details{border:1px solid #ddd;border-radius:4px;margin:.4rem 0;padding:.2rem .6rem} summary{cursor:pointer;overflow-wrap:anywhere}
summary:hover{background:#8881} .facts{float:right;margin-left:1rem} summary::after{content:'';display:block;clear:both}
details details{border:0;border-left:3px solid #ddd;border-radius:0;margin:.2rem 0}
.client{border-left-color:#2a6fb5!important} .server{border-left-color:#3b8a4a!important}
.bad{color:#a8321c} .dim{color:#6a6a6a} code,pre{font:12px/1.45 ui-monospace,monospace}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0}
@media (max-width:40rem){body{margin:1rem auto} .facts{float:none;display:block;margin-left:1rem}}
@media (prefers-color-scheme:dark){body{color:#ddd;background:#181818} details{border-color:#444} .bad{color:#f08a70} .dim{color:#999}
.client{border-left-color:#6aa9e9!important} .server{border-left-color:#6cc07c!important}}
`;
const ARROWS: Readonly<Record<TimelineEntry['from'], string>> = { client: '→', server: '←', proxy: '·' };
/** How much of one message is on the page, in characters. */
const MAX_CONTENT = 20_000;

/** What a page shows of one tape. */
export interface PagedTape {
  readonly summary: TapeSummary;
  readonly entries: readonly TimelineEntry[];
}

/** A page about tapes that needs nothing else: no script, no network, and what the tapes hold is text on it. */
export function tapePage(tapes: readonly PagedTape[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(tapes.map(({ summary }) => summary.name).join(', '))}</title><style>${STYLE}</style></head><body>
${tapes.map(tapeSection).join('\n')}
</body></html>
`;
}

/** How many of the contents are too long to be shown whole. */
export function cutContents(tapes: readonly PagedTape[]): number {
  return tapes.reduce((sum, { entries }) => sum + entries.filter(isCut).length, 0);
}

const isCut = ({ content }: TimelineEntry): boolean => content.length > MAX_CONTENT;

function tapeSection({ summary, entries }: PagedTape): string {
  const { name, form, version, at, records, exchanges } = summary;
  const facts = [
    form,
    `format ${version}`,
    ...(at === undefined ? [] : [`recorded ${at}`]),
    `${records} records`,
    `${exchanges.length} exchanges`,
  ];
  const byExchange = Map.groupBy(entries, ({ s, x }) => `${s} ${x}`);
  const lanes = Map.groupBy(exchanges, ({ s }) => s);
  const loose = entries.filter(({ x }) => x === undefined);
  return `<h1>${escaped(name)}</h1>
<p class="dim">${escaped([...facts, stateOf(summary)].join(' · '))}</p>
${summary.problems.map(({ line, message }) => `<p class="bad">line ${line}: ${escaped(message)}</p>`).join('\n')}
${[...lanes].map(([s, own]) => laneSection(s, own, { summary, byExchange })).join('\n')}
${loose.length === 0 ? '' : `<h2>Beside the exchanges</h2>\n${loose.map(entryBlock).join('\n')}`}`;
}

interface Parts {
  readonly summary: TapeSummary;
  readonly byExchange: ReadonlyMap<string, readonly TimelineEntry[]>;
}

function laneSection(s: string, exchanges: readonly ExchangeSummary[], { summary, byExchange }: Parts): string {
  const about = summary.sessions
    .filter((session) => session.s === s)
    .map(({ era, version, client, server }) =>
      [era, version, client, server].filter((it) => it !== undefined).join(', '),
    );
  const title = s === '-' ? 'Without a session' : `Session ${s}`;
  const blocks = exchanges.map((exchange) => exchangeBlock(exchange, byExchange.get(`${s} ${exchange.x}`) ?? []));
  return `<h2>${escaped(title)}</h2>\n<p class="dim">${escaped(about.join('; '))}</p>\n${blocks.join('\n')}`;
}

function exchangeBlock(exchange: ExchangeSummary, entries: readonly TimelineEntry[]): string {
  const { line, method, target, status, took, end } = exchange;
  const timed = entries.some(({ at }) => at !== undefined);
  const facts = [...(status === undefined ? [] : [`${status}`]), ...(timed ? [seconds(took)] : []), end ?? 'cut off'];
  const bad = !isPlainEnd(exchange) || entries.some(({ kind }) => kind === 'error');
  const title = `<b>${escaped(method)}</b> ${escaped(target ?? '')}`;
  const about = `<span class="${bad ? 'bad' : 'dim'}">${escaped(facts.join(' · '))}</span> <span class="dim">· line ${line}</span>`;
  return `<details><summary>${title} <span class="facts">${about}</span></summary>
${entries.map(entryBlock).join('\n')}</details>`;
}

/** Whether an exchange ended as one may: streams that the server speaks on end when one of both leaves. */
function isPlainEnd({ method, end }: ExchangeSummary): boolean {
  if (end === 'answered' || end === 'cancelled-by-client') return true;
  return method === 'GET' && (end === 'closed-by-client' || end === 'closed-by-server');
}

function entryBlock(entry: TimelineEntry): string {
  const { line, from, label, content, kind } = entry;
  const cut = isCut(entry) ? `${content.slice(0, MAX_CONTENT)}…` : content;
  const title = `${ARROWS[from]} ${escaped(label)} <span class="dim">line ${line}</span>`;
  const open = kind === 'result' || kind === 'error' ? ' open' : '';
  return `<details class="${from}"${open}><summary>${title}</summary><pre>${escaped(indented(cut))}</pre></details>`;
}

/** JSON with line breaks; anything else as it is. */
function indented(content: string): string {
  try {
    const spread = JSON.stringify(JSON.parse(content), null, 2);
    // Numbers that JavaScript would change keep their own spelling.
    return JSON.stringify(JSON.parse(spread)) === content ? spread : content;
  } catch {
    return content;
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}
