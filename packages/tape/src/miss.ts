import { ProxyError } from '@shadowcat/kernel';
import { type Difference, differencesOf, type Located } from './differences.js';
import { answerLine } from './given.js';
import type { Ladder } from './ladder.js';
import type { LiveSession } from './live-session.js';
import { type Library, type Place, placeText, type Recording } from './recording.js';
import { hasPlaceholder } from './redact.js';
import { type RequestShape, shapeOf } from './request-key.js';

/** Why a request is not answered from the tape: a closed set. */
export type MissReason =
  | 'unknown-method'
  | 'unknown-target'
  | 'arguments-differ'
  | 'exhausted'
  | 'wrong-order'
  | 'wrong-session'
  | 'era-mismatch'
  | 'truncated-tape'
  | 'redaction-key-missing';

export interface Miss {
  readonly reason: MissReason;
  readonly method: string;
  readonly target: string | undefined;
  /** The nearest recording. */
  readonly place: Place | undefined;
  readonly differences: readonly Difference[];
  /** The line of an overlay that would make it a match. */
  readonly overlay: string | undefined;
  readonly message: string;
}

/** Where the request was looked for. */
export interface MissContext {
  readonly library: Library;
  readonly session: LiveSession;
  /** Whether the live request is of 2026-07-28. */
  readonly modern: boolean;
  /** Fingerprint of the key that redacts live requests. */
  readonly keyId: string;
  /** What rules say may differ. */
  readonly ladder: Ladder;
}

/** Reasons whose nearest recording is not in the client's own session. */
const ELSEWHERE: ReadonlySet<MissReason> = new Set(['wrong-session', 'era-mismatch']);

/** Finds out why nothing on the tape answers this request, and what is nearest to it. */
export function missOf(shape: RequestShape, context: MissContext): Miss {
  const { method, target } = shape;
  const near = nearest(shape, context);
  const differences = near === undefined ? [] : differencesFrom(near, shape, context);
  const reason = reasonOf(shape, context, { near, differences });
  const overlay =
    reason === 'arguments-differ' && near !== undefined ? overlayLine(near, shape, context) : givenLine(shape, context);
  const other = elsewhere(shape, context);
  const place = (ELSEWHERE.has(reason) ? (other ?? near) : (near ?? other))?.place;
  const message = messageOf({ reason, method, target, place, differences });
  return { reason, method, target, place, differences, overlay, message };
}

/** A request whose recording has no answer because the recording ended before. */
export function cutOff(recording: Recording): Miss {
  const { method, target, place } = recording;
  const about = { reason: 'truncated-tape' as const, method, target, place, differences: [] };
  return { ...about, overlay: undefined, message: messageOf(about) };
}

/** A retry (2026-07-28) whose question was not asked in this session. */
export function outOfOrder(recording: Recording, before: Recording): Miss {
  const { method, target } = recording;
  const about = { reason: 'wrong-order' as const, method, target, place: before.place, differences: [] };
  return { ...about, overlay: undefined, message: messageOf(about) };
}

/** The error that the client gets; `data` as cli.md has it. */
export function missError(miss: Miss): ProxyError {
  const { reason, place, overlay } = miss;
  return new ProxyError('replay_miss', miss.message, {
    data: {
      reason,
      line: place === undefined ? null : placeText(place),
      differences: miss.differences.map(({ pointer, recorded, got }) => ({
        pointer,
        recorded: recorded ?? null,
        got: got ?? null,
      })),
      ...(overlay === undefined ? {} : { overlay }),
    },
  });
}

function reasonOf(
  shape: RequestShape,
  context: MissContext,
  found: { readonly near: Recording | undefined; readonly differences: readonly Difference[] },
): MissReason {
  const { near, differences } = found;
  const { lane, bindings } = context.session;
  const sameTarget = near !== undefined && near.target === shape.target;
  const [alike] = context.ladder.climb(lane, shape, bindings);
  if (lane.byKey.has(shape.key) || alike !== undefined) return lane.truncated ? 'truncated-tape' : 'exhausted';
  const other = elsewhere(shape, context);
  if (other !== undefined && other.key === shape.key)
    return other.modern === context.modern ? 'wrong-session' : 'era-mismatch';
  if (sameTarget) return missingKey(differences, context) ? 'redaction-key-missing' : 'arguments-differ';
  if (lane.truncated) return 'truncated-tape';
  if (near !== undefined) return 'unknown-target';
  if (other === undefined) return otherEraOnly(context) ? 'era-mismatch' : 'unknown-method';
  return other.modern === context.modern ? 'wrong-session' : 'era-mismatch';
}

/** The live request is of an era of which the tape has nothing. */
function otherEraOnly({ library, modern }: MissContext): boolean {
  const all = [...library.sessions, library.sessionless].flatMap(({ recordings }) => recordings);
  return all.length > 0 && all.every((recording) => recording.modern !== modern);
}

/** Only placeholders differ, and they were made with another key. */
function missingKey(differences: readonly Difference[], { library, keyId }: MissContext): boolean {
  if (library.keyIds.size === 0 || library.keyIds.has(keyId)) return false;
  return (
    differences.length > 0 &&
    differences.every(({ recorded }) => typeof recorded === 'string' && hasPlaceholder(recorded))
  );
}

/** So many places are named in the line of an overlay. */
const MAX_PLACES = 100;

/** How many recordings of the same method and target are compared with a miss. */
const MAX_COMPARED = 500;

/** The recording of this lane with the same method and target that differs least; else the first of the method. */
function nearest(shape: RequestShape, { session, ladder }: MissContext): Recording | undefined {
  const { lane } = session;
  let best: Recording | undefined;
  let fewest = Number.POSITIVE_INFINITY;
  let compared = 0;
  for (const recording of lane.recordings) {
    if (recording.method !== shape.method) continue;
    best ??= recording;
    if (recording.target !== shape.target || compared >= MAX_COMPARED) continue;
    compared += 1;
    const count = recording.key === shape.key ? 0 : differencesFrom(recording, shape, { ladder }).length;
    if (count >= fewest) continue;
    best = recording;
    fewest = count;
    if (count === 0) break;
  }
  return best;
}

/** A recording of the same request, or at least the same method and target, in another lane. */
function elsewhere(shape: RequestShape, { library, session }: MissContext): Recording | undefined {
  const lanes = [...library.sessions, library.sessionless].filter((lane) => lane !== session.lane);
  for (const lane of lanes) {
    const [same] = lane.byKey.get(shape.key) ?? [];
    if (same !== undefined) return same;
  }
  for (const lane of lanes) {
    const alike = lane.recordings.find(({ method, target }) => method === shape.method && target === shape.target);
    if (alike !== undefined) return alike;
  }
  return undefined;
}

/** Where the two differ; what rules let differ anyway is left out. */
function differencesFrom(
  recording: Recording,
  shape: RequestShape,
  { ladder, limit }: { readonly ladder: Ladder; readonly limit?: number },
): readonly Difference[] {
  const recorded = shapeOf(recording.method, recording.message.text);
  const [one, other] = [recorded, shape].map(({ text, params }) => ({ text, node: params })) as [Located, Located];
  const all = differencesOf(one, other, limit);
  return all.filter(({ pointer }) => !ladder.excuses(shape, pointer));
}

/** In 2026-07-28 results say more than the answer itself, which is not guessed. */
function givenLine(shape: RequestShape, { modern }: MissContext): string | undefined {
  return modern ? undefined : answerLine(shape);
}

/** One rule of an overlay file, in YAML's flow style: these places are not compared for this request. */
function overlayLine(recording: Recording, shape: RequestShape, { ladder }: MissContext): string | undefined {
  const { method, target } = recording;
  const differences = differencesFrom(recording, shape, { ladder, limit: MAX_PLACES });
  const all = differences.map(({ pointer, list }) => list ?? pointer);
  // Of so many places only the outermost are named.
  const named = all.length < MAX_PLACES ? all : all.map((pointer) => pointer.split('/', 2).join('/'));
  const pointers = new Set(named);
  // The parameters as a whole are no place of an overlay.
  if (pointers.has('')) return undefined;
  const name = target === undefined ? '' : `, target: ${JSON.stringify(target)}`;
  const places = [...pointers].map((pointer) => JSON.stringify(pointer)).join(', ');
  return `ignore: [{ method: ${JSON.stringify(method)}${name}, at: [${places}] }]`;
}

const EXPLANATIONS: Readonly<Record<MissReason, string>> = {
  'unknown-method': 'the tape has no request of this method',
  'unknown-target': 'the tape has none of this name',
  'arguments-differ': 'the recorded one was asked with other parameters',
  exhausted: 'every recording of it was served already',
  'wrong-order': 'the request that it goes on from was not made before',
  'wrong-session': 'it was recorded in another session',
  'era-mismatch': 'the tape has it in the other protocol era only',
  'truncated-tape': 'the recording was cut short before its answer',
  'redaction-key-missing':
    'the recorded secrets were hidden with another key: give replay the .shadowcat/tape.key of the recording',
};

function messageOf(miss: Pick<Miss, 'reason' | 'method' | 'target' | 'place' | 'differences'>): string {
  const { reason, method, target, place, differences } = miss;
  const what = target === undefined ? method : `${method} ${target}`;
  const [first] = differences;
  const where = place === undefined ? '' : `; nearest: ${placeText(place)}`;
  const how =
    reason !== 'arguments-differ' || first === undefined
      ? ''
      : `, at ${first.pointer === '' ? '/' : first.pointer}: recorded ${brief(first.recorded)}, got ${brief(first.got)}`;
  return `not on the tape: ${what} (${reason}: ${EXPLANATIONS[reason]}${where}${how})`;
}

function brief(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
