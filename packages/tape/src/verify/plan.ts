import { asObject, type JsonObject, META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_VERSION } from '@shadowcat/wire';
import { libraryOf } from '../library.js';
import type { ClientNotice, RecordedLane, Recording, Step } from '../recording.js';
import type { Tape } from '../records.js';

/** Something that the recorded client did. */
export type Act =
  | { readonly kind: 'request'; readonly order: number; readonly recording: Recording }
  | { readonly kind: 'notice'; readonly order: number; readonly notice: ClientNotice };

/** What a client sent in one body: one act, or those of a batch (2025-03-26). */
export interface Turn {
  readonly order: number;
  readonly batch: boolean;
  readonly acts: readonly Act[];
}

/** What one recorded client did, and what it was told, in the order of the tape. */
export interface ClientPlan {
  readonly lane: RecordedLane;
  readonly turns: readonly Turn[];
  readonly recordings: readonly Recording[];
  /** Requests of the server's. */
  readonly asked: readonly Step[];
  /** Notifications of the server's. */
  readonly heard: readonly Step[];
  /** Which request a question or notification came of, where the tape shows that. */
  readonly owners: ReadonlyMap<Step, Recording>;
}

/** The clients of some tapes: one for each session, and, of what has none, one for each `initialize`. */
export function plansOf(tapes: readonly Tape[]): readonly ClientPlan[] {
  const library = libraryOf(tapes);
  return [library.sessionless, ...library.sessions].flatMap((lane) => segmentsOf(lane)).map(planOf);
}

interface Segment {
  readonly lane: RecordedLane;
  readonly from: number;
  readonly until: number;
}

/** Everything without a session is one lane, however many clients there were. */
function segmentsOf(lane: RecordedLane): readonly Segment[] {
  const starts = lane.recordings.flatMap(({ method, order }) => (method === 'initialize' ? [order] : [])).slice(1);
  const bounds = [0, ...starts, Number.POSITIVE_INFINITY];
  return bounds.slice(1).map((until, index) => ({ lane, from: bounds[index] ?? 0, until }));
}

function planOf({ lane, from, until }: Segment): ClientPlan {
  const ours = ({ order }: { readonly order: number }): boolean => order >= from && order < until;
  const recordings = lane.recordings.filter(ours);
  const acts: Act[] = [
    ...recordings.map((recording): Act => ({ kind: 'request', order: recording.order, recording })),
    ...[...lane.notices.values()].flat().filter(ours).map(actOf),
  ].sort((a, b) => a.order - b.order);
  const steps = [...recordings.flatMap((recording) => recording.steps), ...lane.stream.filter(ours)];
  const inOrder = steps.sort((a, b) => a.order - b.order);
  return {
    owners: ownersOf(recordings, lane.stream),
    lane,
    turns: turnsOf(acts),
    recordings,
    asked: inOrder.filter(({ kind, method }) => kind === 'request' && method !== 'ping'),
    heard: inOrder.filter(({ kind }) => kind === 'notification'),
  };
}

function actOf(notice: ClientNotice): Act {
  return { kind: 'notice', order: notice.order, notice };
}

/** Acts of one batch have the order of its first message in common, and nothing between them. */
function turnsOf(acts: readonly Act[]): readonly Turn[] {
  const batchOf = (act: Act): number | undefined => (act.kind === 'request' ? act.recording : act.notice).batch;
  const bodies = Map.groupBy(acts, (act) => batchOf(act) ?? act.order);
  return [...bodies].map(([order, own]) => ({ order, batch: own.every((act) => batchOf(act) === order), acts: own }));
}

function ownersOf(recordings: readonly Recording[], stream: readonly Step[]): ReadonlyMap<Step, Recording> {
  const owners = new Map<Step, Recording>();
  // What came after a request on a standing stream: most likely of its doing.
  const causes = new Map(recordings.map((recording) => [recording.order, recording]));
  for (const step of stream) {
    const cause = step.after.map((order) => causes.get(order)).find((found) => found !== undefined);
    if (cause !== undefined) owners.set(step, cause);
  }
  for (const recording of recordings) {
    for (const step of recording.steps) for (const own of [step, ...step.awaits]) owners.set(own, recording);
  }
  return owners;
}

/** The parameters that a request of ours needs beside a recorded one: a modern one says each time who asks. */
export function metaFor({ modern, message }: Recording): JsonObject | undefined {
  if (!modern) return undefined;
  const meta = asObject(asObject(message.value['params'])?.['_meta']) ?? {};
  const kept: Record<string, JsonObject[string]> = {};
  for (const key of [META_VERSION, META_CLIENT_INFO, META_CLIENT_CAPABILITIES]) {
    const value = meta[key];
    if (value !== undefined) kept[key] = value;
  }
  return kept;
}
