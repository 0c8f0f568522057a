import { type BodyEnd, Frame, headerOf, ProxyError } from '@shadowcat/kernel';
import { classify, mediaType, SESSION_HEADER, VERSION_HEADER } from '@shadowcat/wire';
import { type CaptureMaker, type ImportedFlight, ImportSession } from './capture-maker.js';
import type { ImportedEvent, ImportedExchange, ImportedResponse } from './imported.js';
import type { Losses } from './losses.js';
import { isTimeless, type PickedExchange } from './pick-exchanges.js';
import { type Step, StepQueue } from './step-queue.js';
import { streamFrames } from './stream-events.js';
import { ClientSide, MOMENT, streamTimes } from './stream-times.js';

/** An exchange on its way: when its parts are. */
interface Plan extends PickedExchange {
  readonly at: number;
  readonly opens: boolean;
  readonly session: ImportSession | undefined;
  /** What its streams can be put between. */
  readonly client: ClientSide;
  /** Whether an answer is owed. */
  readonly asks: boolean;
  /** The number of the last of the client's answers to questions that come right behind this in the file; its own if none does. */
  readonly answersTo: number;
}

/** Tells `maker` the exchanges of an endpoint, which are in the order in which they began. */
export function playExchanges(picked: readonly PickedExchange[], maker: CaptureMaker, losses: Losses): void {
  const timeless = isTimeless(picked);
  if (timeless) losses.add('timeless');
  const plans = planned(picked, timeless, losses);
  const came = new Answers(maker, timeless);
  const firstUse = new Map<ImportSession, number>();
  for (const { opens, session, at } of plans.toReversed())
    if (!opens && session !== undefined) firstUse.set(session, at);
  for (const plan of plans) {
    const { at, opens, session } = plan;
    came.until(at);
    came.moveTo(at);
    const flight = maker.begin(headOf(plan.exchange), plan.read, session);
    const before = opens && session !== undefined ? firstUse.get(session) : undefined;
    came.add(stepsOf(plan, flight, { losses, timeless, before }));
  }
  came.until(Number.POSITIVE_INFINITY);
}

function headOf({ method, url, headers }: ImportedExchange): {
  method: string;
  target: string;
  headers: typeof headers;
} {
  const target = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(url)?.[1];
  return { method, target: target === undefined || !target.startsWith('/') ? `/${target ?? ''}` : target, headers };
}

function planned(picked: readonly PickedExchange[], timeless: boolean, losses: Losses): Plan[] {
  const sessions = new Map<string, ImportSession>();
  const clients = new Map<ImportSession | undefined, ClientSide>();
  const answers = lastAnswers(picked);
  return picked.map(({ exchange, read }, index): Plan => {
    const at = timeless ? index : (exchange.at ?? 0);
    const call = classify(headOf(exchange), read.messages, read.batch);
    const opens = call.method === 'initialize' && call.era === 'legacy';
    const given = opens ? headerOf(exchange.response?.headers ?? {}, SESSION_HEADER) : call.sessionId;
    if (given !== undefined && opens) sessions.delete(given);
    if (given !== undefined && !opens && !sessions.has(given)) losses.add('opening');
    const session =
      given === undefined ? undefined : sessionOf(sessions, given, headerOf(exchange.headers, VERSION_HEADER));
    const client = clients.get(session) ?? new ClientSide();
    clients.set(session, client);
    for (const message of read.messages) client.sent(at, message.value);
    return {
      exchange,
      read,
      at,
      opens,
      session,
      client,
      asks: call.expectsAnswer,
      answersTo: answers[index] ?? index,
    };
  });
}

function sessionOf(sessions: Map<string, ImportSession>, id: string, version: string | undefined): ImportSession {
  const session = sessions.get(id) ?? new ImportSession(id, version);
  sessions.set(id, session);
  return session;
}

interface Surroundings {
  readonly losses: Losses;
  readonly timeless: boolean;
  /** When the session that this opens was first used: its answer was there by then. */
  readonly before: number | undefined;
}

/** What came back, and when. */
function stepsOf(plan: Plan, flight: ImportedFlight, around: Surroundings): Step[] {
  const { exchange, at, asks } = plan;
  const { response } = exchange;
  if (response === undefined) {
    if (asks) around.losses.add('unanswered');
    return [{ at, run: () => ended(flight, exchange, failed()) }];
  }
  const by = around.before === undefined ? Number.POSITIVE_INFINITY : around.before - MOMENT;
  const from = Math.min(around.timeless ? at : Math.max(at, response.at ?? at), by);
  const to = around.timeless ? endOfTimeless(plan) : Math.min(Math.max(from, response.endAt ?? from), by);
  const isStream = mediaType(headerOf(response.headers, 'content-type')) === 'text/event-stream';
  const steps = isStream
    ? streamSteps(plan, flight, { response, from, to, losses: around.losses })
    : wholeSteps(plan, flight, { response, to, losses: around.losses });
  const { session } = plan;
  if (exchange.method === 'DELETE' && response.status < 300 && session !== undefined)
    steps.push({ at: to, run: () => session.end() });
  return steps;
}

/**
 * Without times a standing stream lasts as long as the file. Another answer comes at once; when the client's answers to questions follow in the
 * file, behind these, because it was most likely what asked them.
 */
function endOfTimeless({ exchange, at, answersTo }: Plan): number {
  if (exchange.method === 'GET') return Number.POSITIVE_INFINITY;
  return answersTo > at ? answersTo + 3 * MOMENT : at;
}

/** Of each exchange: the number of the last answer of those that come right behind it; its own when none does. */
function lastAnswers(picked: readonly PickedExchange[]): number[] {
  const last: number[] = [];
  for (let index = picked.length - 1; index >= 0; index -= 1) {
    const next = picked[index + 1];
    last[index] = next !== undefined && answersOnly(next) ? (last[index + 1] ?? index) : index;
  }
  return last;
}

function answersOnly({ read: { messages } }: PickedExchange): boolean {
  return messages.length > 0 && messages.every(({ kind }) => kind === 'response');
}

interface Answer {
  readonly response: ImportedResponse;
  readonly from?: number;
  readonly to: number;
  readonly losses: Losses;
}

function wholeSteps({ exchange, asks }: Plan, flight: ImportedFlight, { response, to, losses }: Answer): Step[] {
  const { status, headers, body } = response;
  const lacking = body === undefined && asks;
  if (lacking) losses.add(exchange.broken === undefined ? 'bodiless' : 'unanswered');
  else if (asks && status < 300 && body?.length === 0) losses.add('unanswered');
  const run = (): void => {
    if (lacking) {
      flight.stream(status, headers);
      ended(flight, exchange, failed());
      return;
    }
    try {
      flight.whole(status, headers, body ?? new Uint8Array(0));
    } catch {
      losses.add('unread');
      flight.end(failed());
    }
  };
  return [{ at: to, run }];
}

function streamSteps(plan: Plan, flight: ImportedFlight, answer: Required<Answer>): Step[] {
  const { exchange, asks, client } = plan;
  const { response, from, to, losses } = answer;
  const frames = framesOf(response);
  if (frames.length === 0 && response.body === undefined) losses.add('bodiless');
  else if (asks && !frames.some(isAnswer)) losses.add('unanswered');
  const { times, guessed } = streamTimes(frames, {
    from,
    to,
    client,
    known: response.eventTimes ?? response.events?.map(({ at }) => at),
  });
  losses.add('eventTimes', guessed);
  const lacking = asks && response.body === undefined && frames.length === 0;
  return [
    { at: from, run: () => flight.stream(response.status, response.headers) },
    ...frames.map((frame, index) => ({ at: times[index] ?? to, run: () => flight.event(frame) })),
    { at: Math.max(to, times.at(-1) ?? to), run: () => ended(flight, exchange, lacking ? failed() : COMPLETE) },
  ];
}

function isAnswer(frame: Frame): boolean {
  const { message } = frame;
  return typeof message === 'object' && message !== null && ('result' in message || 'error' in message);
}

/** The events: those of the body, or where browsers keep them apart those. */
function framesOf(response: ImportedResponse | undefined): Frame[] {
  const { body, events = [] } = response ?? {};
  if (body === undefined || body.length === 0) return events.map(frameOf);
  return streamFrames(body).filter(isEvent);
}

/** Keep-alives are no events; what a cut leaves behind has no message. */
function isEvent(frame: Frame): boolean {
  const { sse, text } = frame;
  return (
    (text !== undefined && text !== '') || sse?.id !== undefined || sse?.retry !== undefined || sse?.event !== undefined
  );
}

function frameOf({ text, id, event }: ImportedEvent): Frame {
  const sse = { ...(id === undefined ? {} : { id }), ...(event === undefined ? {} : { event }) };
  return new Frame({ text: text === '' ? null : text, sse });
}

const COMPLETE = { kind: 'complete' } as const;
const ABANDONED = { kind: 'abandoned' } as const;
const failed = () =>
  ({ kind: 'failed', error: new ProxyError('upstream_protocol', 'the answer is not in the file') }) as const;

/** Tells how it ended: as the file says, or `otherwise`. What was open at the end is left so. */
function ended(flight: ImportedFlight, { broken }: ImportedExchange, otherwise: BodyEnd): void {
  if (broken === 'open') return;
  flight.end(broken === undefined ? otherwise : broken === 'client' ? ABANDONED : failed());
}

/** What came back, told when it is time. */
class Answers {
  readonly #maker: CaptureMaker;
  readonly #timeless: boolean;
  readonly #queue = new StepQueue();

  constructor(maker: CaptureMaker, timeless: boolean) {
    this.#maker = maker;
    this.#timeless = timeless;
  }

  add(steps: readonly Step[]): void {
    for (const step of steps) this.#queue.add(step);
  }

  moveTo(at: number): void {
    if (!this.#timeless && Number.isFinite(at)) this.#maker.moveTo(at);
  }

  until(time: number): void {
    for (let step = this.#queue.take(time); step !== undefined; step = this.#queue.take(time)) {
      this.moveTo(step.at);
      step.run();
    }
  }
}
