import { type Clock, Frame, type Log, type Timer } from '@shadowcat/kernel';
import { errorText } from '@shadowcat/wire';
import type { LiveSession, Play } from './live-session.js';
import { pauseBefore, type ReplayTime } from './pace.js';
import { placeText, type Recording, type Step } from './recording.js';
import { rewritten, unownedText } from './rewrite.js';

/** After this long without anything to send, what the tape waits for is logged. */
const PATIENCE_MS = 5000;

/** When waiting for a client is not worth it any more, and who is told. */
export interface GiveUp {
  readonly afterMs: number;
  readonly now: () => void;
}

export interface PlayParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly time: ReplayTime;
  readonly giveUp?: GiveUp;
}

/** Somewhere that messages are sent to: whose session, and when it is over. */
interface Outlet extends PlayParts {
  readonly session: LiveSession;
  readonly over: () => boolean;
  /** What is sent after the next message. */
  readonly ahead?: ReadonlySet<Step>;
}

/**
 * Sends what came of a recorded request, in its order, each message when what it waited for has happened again. A request
 * that was never answered is left open until the client goes, unless the server had closed or lost it.
 */
export async function* playRequest(play: Play, parts: PlayParts): AsyncGenerator<Frame, void, undefined> {
  const { session } = play;
  // In the order of the tape nothing waits for what comes after it; a fault may have changed the order.
  const ahead = new Set(play.steps === play.recording.steps ? [] : play.steps);
  const outlet: Outlet = { ...parts, session, over: () => play.stopped || session.closed, ahead };
  try {
    await pause(play.delayMs, outlet);
    if (play.recording.retryMs !== undefined) yield comeBack(play.recording.retryMs);
    for (const step of play.steps) {
      ahead.delete(step);
      yield* askHere(outlet, step);
      await patiently(outlet, step);
      await pause(pauseBefore(step, parts.time), outlet);
      if (outlet.over() || session.hopeless(step, ahead)) return;
      const text = rewritten(step, play);
      if (text !== undefined) yield new Frame({ text });
      session.done(step.order);
    }
    if (play.error !== undefined) yield new Frame({ text: errorText(play.error, play.live.idText) });
    if (play.hold) await session.until(() => outlet.over() || session.deaf);
  } finally {
    session.release(play);
  }
}

/** Whether a request that the tape shows without an answer is held: its client had gone or had cancelled it. */
export function staysOpen(recording: Recording): boolean {
  const end = recording.exit?.end;
  return recording.answer === undefined && (end === 'cancelled-by-client' || end === 'closed-by-client');
}

/**
 * A request of the server's that came on a standing stream while this one was in flight, and that this one waits for: when
 * no standing stream is open it is sent here, as MCP allows.
 */
async function* askHere(outlet: Outlet, step: Step): AsyncGenerator<Frame, void, undefined> {
  const { session, over } = outlet;
  for (const asked of step.awaits) {
    const isSent = (): boolean => session.sentAs(asked) !== undefined;
    if (isSent() || !session.lane.stream.includes(asked)) continue;
    await session.until(() => over() || !session.streaming || isSent());
    if (over()) return;
    if (isSent()) continue;
    yield new Frame({ text: unownedText(asked, session) });
    session.done(asked.order);
  }
}

/**
 * Sends what came on the standing streams of the recorded session, until `gone`, or another stream takes over. `number` is
 * what the session gave this one.
 */
export async function* playStream(
  session: LiveSession,
  stream: { readonly number: number; readonly gone: () => boolean },
  parts: PlayParts,
): AsyncGenerator<Frame, void, undefined> {
  const { number, gone } = stream;
  const over = (): boolean => gone() || session.closed || session.stream !== number;
  try {
    if (session.lane.streamRetryMs !== undefined) yield comeBack(session.lane.streamRetryMs);
    while (!over()) {
      const step = session.lane.stream[session.cursor];
      if (step === undefined) {
        await session.until(over);
        return;
      }
      const isSent = (): boolean => session.sentAs(step) !== undefined;
      const outlet: Outlet = { ...parts, session, over: () => over() || isSent() };
      await patiently(outlet, step);
      await pause(pauseBefore(step, parts.time), outlet);
      if (over()) return;
      session.cursor += 1;
      if (isSent()) continue;
      yield new Frame({ text: unownedText(step, session) });
      session.done(step.order);
    }
  } finally {
    session.closeStream(number);
  }
}

/** Tells the client when to come back if it is cut. */
function comeBack(retry: number): Frame {
  return new Frame({ text: null, sse: { retry } });
}

/** Lets time pass, unless it is over before. */
export async function pause(
  ms: number,
  { session, clock, over }: Pick<Outlet, 'session' | 'clock' | 'over'>,
): Promise<void> {
  if (ms <= 0 || over()) return;
  let due = false;
  const timer = clock.timer(ms, () => {
    due = true;
    session.wake();
  });
  try {
    await session.until(() => due || over());
  } finally {
    timer.cancel();
  }
}

/** Says after a while what is waited for, and gives up when that is wanted. */
export function waiting({ clock, giveUp }: Pick<PlayParts, 'clock' | 'giveUp'>, say: () => void): Timer {
  const timers = [clock.timer(PATIENCE_MS, say)];
  if (giveUp !== undefined) timers.push(clock.timer(giveUp.afterMs, giveUp.now));
  return {
    cancel: () => {
      for (const timer of timers) timer.cancel();
    },
  };
}

/** Waits until a step's causes have happened; says so when that takes long and it is an answer of the client's. */
async function patiently(outlet: Outlet, step: Step): Promise<void> {
  const { session, over, log, ahead } = outlet;
  const ready = (): boolean => over() || session.ready(step, ahead) || session.hopeless(step, ahead);
  if (ready()) return;
  // What a fault dropped was never asked: nobody is to blame that it has no answer.
  const open = (): Step[] => session.unanswered(step, ahead).filter((asked) => session.sentAs(asked) !== undefined);
  let timer: Timer | undefined;
  if (open().length > 0) {
    timer = waiting(outlet, () => {
      for (const asked of open()) {
        const line = placeText(asked.place);
        log.warn({ line }, `replay waits for the client's answer to ${asked.method} (${line})`);
      }
    });
  }
  try {
    await session.until(ready);
  } finally {
    timer?.cancel();
  }
}
