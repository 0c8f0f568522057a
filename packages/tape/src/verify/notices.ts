import { asObject, type Message } from '@shadowcat/wire';
import type { Step } from '../recording.js';
import { shapeOf } from '../request-key.js';
import type { Level } from './compare.js';
import type { HeardNotice } from './heard.js';

/** How a notification compares: one that was recorded, one that came, or both where they belong together and differ. */
export interface NoticeFinding<D> {
  readonly step: Step | undefined;
  readonly live: HeardNotice | undefined;
  readonly differences: readonly D[];
}

export interface NoticeComparing<D> {
  readonly level: Level;
  /** Where two differ, as far as it counts. */
  readonly differences: (recorded: Step, live: Message) => readonly D[];
  /** The text of a live one with the recorded values in it. */
  readonly recordedText: (live: Message) => string;
  /** Whether the overlay leaves this method out. */
  readonly ignored: (method: string) => boolean;
}

/** How far apart two that belong together may be, in notifications of the same kind: what is looked through is bounded. */
const WINDOW = 64;

/**
 * Compares the notifications of a recorded server with those of a live one. Progress of one request has its order; of the others
 * each has to come once, whenever. At the level `shape` one stands for all that look like it, and `contract` asks for none.
 */
export function noticeFindings<D>(
  recorded: readonly Step[],
  live: readonly HeardNotice[],
  comparing: NoticeComparing<D>,
): readonly NoticeFinding<D>[] {
  if (comparing.level === 'contract') return [];
  const shape = comparing.level === 'shape';
  const kindOf = (method: string, text: string): string =>
    shape ? method : `${method} ${discriminator(method, text)}`;
  const ours = Map.groupBy(recorded, ({ method = '', text }) => kindOf(method, text));
  const theirs = Map.groupBy(live, ({ message }) => kindOf(message.method ?? '', comparing.recordedText(message)));
  const findings: NoticeFinding<D>[] = [];
  for (const kind of new Set([...ours.keys(), ...theirs.keys()])) {
    const [was, is] = [ours.get(kind) ?? [], theirs.get(kind) ?? []];
    if (comparing.ignored(was[0]?.method ?? is[0]?.message.method ?? '')) continue;
    findings.push(...(shape ? shapes(was, is, comparing) : contents(was, is, comparing)));
  }
  return findings.filter(({ step, live: came }) => step !== undefined || came?.late === false);
}

/** What one of a kind is about: the operation, the resource, the task. */
function discriminator(method: string, text: string): string {
  const params = asObject((JSON.parse(text) as { readonly params?: never }).params);
  const member = { 'notifications/progress': 'progressToken', 'notifications/resources/updated': 'uri' }[method];
  return member === undefined ? '' : JSON.stringify(params?.[member] ?? null);
}

function shapes<D>(
  recorded: readonly Step[],
  live: readonly HeardNotice[],
  { differences }: NoticeComparing<D>,
): readonly NoticeFinding<D>[] {
  const [step] = recorded;
  const [first] = live;
  if (step === undefined || first === undefined) return [{ step, live: first, differences: [] }];
  return live.flatMap((came) => {
    const tries = recorded.slice(0, WINDOW).map((one) => ({ step: one, differences: differences(one, came.message) }));
    const best = tries.reduce((one, other) => (other.differences.length < one.differences.length ? other : one));
    return best.differences.length === 0 ? [] : [{ ...best, live: came }];
  });
}

/** Pairs those that are equal, then, in their order, what is left of both. */
function contents<D>(
  recorded: readonly Step[],
  live: readonly HeardNotice[],
  comparing: NoticeComparing<D>,
): readonly NoticeFinding<D>[] {
  const ordered = recorded[0]?.method === 'notifications/progress';
  const [was, is] = ordered ? inOrder(recorded, live, comparing) : inAnyOrder(recorded, live, comparing);
  const findings: NoticeFinding<D>[] = [];
  for (let at = 0; at < Math.max(was.length, is.length); at += 1) {
    const [step, came] = [was[at], is[at]];
    const differences = step && came ? comparing.differences(step, came.message) : [];
    findings.push({ step, live: came, differences });
  }
  return findings;
}

type Left = readonly [readonly Step[], readonly HeardNotice[]];

function inAnyOrder<D>(recorded: readonly Step[], live: readonly HeardNotice[], comparing: NoticeComparing<D>): Left {
  const spelled = Map.groupBy(
    live,
    ({ message }) => shapeOf(message.method ?? '', comparing.recordedText(message)).key,
  );
  const taken = new Set<HeardNotice>();
  const same = recorded.filter(({ method = '', text }) => {
    const came = spelled.get(shapeOf(method, text).key)?.shift();
    if (came !== undefined) taken.add(came);
    return came === undefined;
  });
  const rest = live.filter((came) => !taken.has(came));
  const left = same.filter((step) => {
    const at = rest.slice(0, WINDOW).findIndex(({ message }) => comparing.differences(step, message).length === 0);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  return [left, rest];
}

function inOrder<D>(recorded: readonly Step[], live: readonly HeardNotice[], comparing: NoticeComparing<D>): Left {
  const left: Step[] = [];
  const taken = new Set<HeardNotice>();
  let next = 0;
  for (const step of recorded) {
    const near = live.slice(next, next + WINDOW);
    const at = near.findIndex(({ message }) => comparing.differences(step, message).length === 0);
    const came = near[at];
    if (came === undefined) left.push(step);
    else {
      taken.add(came);
      next += at + 1;
    }
  }
  return [left, live.filter((came) => !taken.has(came))];
}
