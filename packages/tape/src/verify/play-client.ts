import { type Clock, ProxyError } from '@shadowcat/kernel';
import {
  type JsonObject,
  type Message,
  notificationText,
  readMessage,
  requestText,
  spliceMessage,
  textAt,
} from '@shadowcat/wire';
import type { ClientNotice, Recording, Step } from '../recording.js';
import { type LiveTools, liveTools, recordedEffects } from './effects.js';
import { causeOf, Heard, type HeardNotice } from './heard.js';
import type { LiveValues } from './live-values.js';
import { openingText } from './opening.js';
import { type Patience, UNASKED_MS } from './patience.js';
import { type Act, type ClientPlan, metaFor, type Turn } from './plan.js';
import { type AskedLive, Questions, unknownQuestion } from './questions.js';
import type { Connect, Sent, ServerLine } from './server-line.js';
import { unreadable } from './unreadable.js';
import { Waiting } from './waiting.js';

/** How a recorded request went. */
export type Outcome =
  | { readonly kind: 'answered'; readonly message: Message }
  /** Sent, and nothing came. `why` is for people. */
  | { readonly kind: 'unanswered'; readonly why: string }
  /** Not sent: it may change something. */
  | { readonly kind: 'blocked'; readonly why: string }
  /** Not sent: it could not be. */
  | { readonly kind: 'skipped'; readonly why: string };

/** What a live server did with a recorded client. */
export interface ClientPlay {
  readonly plan: ClientPlan;
  readonly outcomes: ReadonlyMap<Recording, Outcome>;
  readonly asked: readonly AskedLive[];
  readonly heard: readonly HeardNotice[];
  readonly values: LiveValues;
  readonly tools: LiveTools | undefined;
  /** What must not be shown of this session. */
  readonly secrets: readonly string[];
}

export interface PlayClientParts {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly values: LiveValues;
  /** Whether tools are called that do not say that they change nothing. */
  readonly allowEffects: boolean;
  /** Whether `outputSchema` is of interest. */
  readonly wantsSchemas: boolean;
  /** How long is waited for what does not come. */
  readonly patience: Patience;
  /** Aborted: stop. */
  readonly stop: AbortSignal;
  /** Told after each request. */
  readonly progress?: () => void;
}

/** What says already that the server cannot be reached or started. */
const UNREACHED: ReadonlySet<string> = new Set([
  'spawn_failed',
  'child_exited',
  'upstream_unreachable',
  'upstream_timeout',
]);
/** A request under way. */
interface Flight {
  readonly recording: Recording | undefined;
  /** As it is sent. */
  readonly message: Message;
  outcome: Extract<Outcome, { kind: 'answered' | 'unanswered' }> | undefined;
  sent: Promise<void>;
}

/**
 * Plays a recorded client against a live server: its messages in their order, each when what had come before it has come
 * again. Requests of the server's are answered as they were recorded. Rejects when the server cannot be reached at all; what
 * happens later is in the outcomes.
 */
export async function playClient(plan: ClientPlan, parts: PlayClientParts): Promise<ClientPlay> {
  const player = new ClientPlayer(plan, parts);
  await player.run();
  return player.play();
}

class ClientPlayer {
  readonly #plan: ClientPlan;
  readonly #parts: PlayClientParts;
  readonly #flights = new Map<string, Flight>();
  readonly #outcomes = new Map<Recording, Outcome>();
  readonly #questions: Questions;
  /** Tools that may change something by what the tape says. */
  readonly #effectful: ReadonlySet<string>;
  readonly #heard: Heard;
  readonly #givenUp = new Set<Step>();
  readonly #answering = new Set<Promise<void>>();
  readonly #waiting: Waiting;
  /** Aborted when the tape is played, or it was told to stop: what is still under way is left. */
  readonly #ended = new AbortController();
  #server: ServerLine | undefined;
  #lost: ProxyError | undefined;
  #tools: LiveTools | undefined;
  #secrets: readonly string[] = [];
  #nextId = 1;
  #received = false;
  /** Whether it was the last recorded request's turn. */
  #sentAll = false;
  #listening = Promise.resolve();

  constructor(plan: ClientPlan, parts: PlayClientParts) {
    this.#plan = plan;
    this.#parts = parts;
    this.#questions = new Questions(plan.asked);
    this.#heard = new Heard(plan.heard);
    this.#effectful = recordedEffects(plan.recordings);
    this.#waiting = new Waiting(parts.clock);
  }

  play(): ClientPlay {
    const { values } = this.#parts;
    return {
      plan: this.#plan,
      outcomes: this.#outcomes,
      asked: this.#questions.asked,
      heard: this.#heard.notices,
      values,
      tools: this.#tools,
      secrets: this.#secrets,
    };
  }

  async run(): Promise<void> {
    const { connect, stop } = this.#parts;
    if (this.#plan.turns.length === 0) return;
    const onStop = (): void => {
      this.#ended.abort(new ProxyError('cancelled', STOPPED));
      this.#wake();
    };
    stop.addEventListener('abort', onStop, { once: true });
    const server = await connect({
      message: (message) => this.#hear(message),
      lost: (reason) => {
        this.#lost ??= reason;
        this.#wake();
      },
    });
    this.#server = server;
    try {
      for (const turn of this.#plan.turns) {
        await this.#causes(turn.order);
        await this.#take(server, turn);
      }
      await this.#causes(Number.POSITIVE_INFINITY);
    } finally {
      stop.removeEventListener('abort', onStop);
      await this.#end(server);
    }
    if (!this.#received && !this.#parts.stop.aborted) this.#unheard();
  }

  /** Nothing at all was heard: there is no such server, unless nothing was to be heard. */
  #unheard(): void {
    const silent = [...this.#outcomes].find(([{ answer }, { kind }]) => answer !== undefined && kind === 'unanswered');
    const why = silent?.[1].kind === 'unanswered' ? silent[1].why : undefined;
    if (this.#lost !== undefined && UNREACHED.has(this.#lost.code)) throw this.#lost;
    const message = this.#lost?.message ?? (why && `the server does not answer as an MCP server: ${why}`);
    if (message !== undefined) throw new ProxyError('upstream_unreachable', message, { cause: this.#lost });
  }

  async #end(server: ServerLine): Promise<void> {
    this.#ended.abort(new ProxyError('cancelled', 'the tape is played'));
    await Promise.all([...this.#flights.values()].map(({ sent }) => sent));
    await Promise.all(this.#answering);
    this.#secrets = server.secrets;
    await server[Symbol.asyncDispose]();
    await this.#listening;
    for (const { recording, outcome } of this.#flights.values()) {
      if (recording !== undefined) this.#outcomes.set(recording, outcome ?? this.#unanswered());
    }
  }

  #unanswered(): Outcome {
    return this.#parts.stop.aborted ? { kind: 'skipped', why: STOPPED } : { kind: 'unanswered', why: 'no answer came' };
  }

  /** Waits until what came before this on the tape has come again, or is given up. */
  async #causes(order: number): Promise<void> {
    const flights = [...this.#flights.values()].filter(
      ({ recording, outcome }) => outcome === undefined && (recording?.answer?.order ?? order) < order,
    );
    const settled = (): boolean => flights.every(({ outcome }) => outcome !== undefined);
    const { clock, patience, stop } = this.#parts;
    const [began, ms] = [clock.now(), patience.answerMs];
    if (!(await this.#until(settled, ms)) && !stop.aborted) {
      const late = `no answer within ${ms / 1000} s`;
      const why = this.#lost === undefined ? late : `the server is gone: ${this.#lost.message}`;
      for (const flight of flights) flight.outcome ??= { kind: 'unanswered', why };
    }
    if (flights.some(({ outcome }) => outcome?.kind === 'unanswered')) patience.missedAnswer(clock.now() - began);
    this.#heard.over ||= order === Number.POSITIVE_INFINITY;
    await this.#unaskedBefore(order);
  }

  async #unaskedBefore(order: number): Promise<void> {
    const asked = this.#plan.asked.filter(
      (step) => step.answer !== undefined && step.answer.order < order && !this.#questions.came(step),
    );
    const heard = this.#heard.before(order).filter((step) => !this.#heard.has(step));
    const open = [...asked, ...heard].filter((step) => this.#isDue(step));
    const came = (step: Step): boolean =>
      step.kind === 'request' ? this.#questions.came(step) : this.#heard.has(step);
    const { clock, patience } = this.#parts;
    const began = clock.now();
    const usualMs = open.reduce((sum, { gapMs }) => sum + gapMs, 0);
    const ms = patience.unaskedMs({ usualMs, last: order === Number.POSITIVE_INFINITY });
    if (await this.#until(() => open.every(came), ms)) return;
    patience.missedUnasked(clock.now() - began);
    for (const step of open) this.#givenUp.add(step);
  }

  /** Not when the request that it came of was not sent. */
  #isDue(step: Step): boolean {
    const owner = this.#plan.owners.get(step);
    return !this.#givenUp.has(step) && (owner === undefined || !this.#outcomes.has(owner));
  }

  /** False when the time ran out. Nothing is waited for when the server is gone. */
  async #until(ready: () => boolean, ms: number): Promise<boolean> {
    await this.#waiting.until(() => ready() || this.#lost !== undefined || this.#parts.stop.aborted, ms);
    return ready();
  }

  #wake(): void {
    this.#waiting.wake();
  }

  async #take(server: ServerLine, { batch, acts }: Turn): Promise<void> {
    if (batch) return this.#batch(server, acts);
    for (const act of acts) {
      if (act.kind === 'notice') await this.#tell(server, act.notice);
      else await this.#request(server, act.recording);
    }
  }

  /** What of a batch can be sent, in one body. */
  async #batch(server: ServerLine, acts: readonly Act[]): Promise<void> {
    const messages: Message[] = [];
    const flights: Flight[] = [];
    for (const act of acts) {
      const refused = act.kind === 'notice' ? undefined : await this.#refused(server, act.recording);
      if (refused !== undefined) continue;
      if (act.kind === 'notice') messages.push(...this.#noticeOf(act.notice));
      else {
        const flight = this.#flight(this.#parts.values.request(act.recording), act.recording);
        flights.push(flight);
        messages.push(flight.message);
      }
    }
    const sending =
      messages.length === 0 ? undefined : this.#follow(flights, (signal) => server.sendBatch(messages, signal));
    for (const flight of flights) flight.sent = sending ?? flight.sent;
    if (flights.length === 0) await sending;
    for (const act of acts) {
      if (act.kind === 'request') this.#parts.progress?.();
      else if (act.notice.method === 'notifications/initialized') await this.#listen(server);
    }
  }

  async #request(server: ServerLine, recording: Recording): Promise<void> {
    if ((await this.#refused(server, recording)) === undefined) {
      const opening = recording.method === 'initialize';
      const text = opening ? openingText(recording, this.#plan) : this.#parts.values.request(recording);
      this.#send(server, text, recording);
      if (opening && textAt(recording.message.text, ['params']) === undefined) await this.#settle(server, recording);
    }
    this.#parts.progress?.();
  }

  /** Its turn has come: why it is not sent, which is its outcome then. */
  async #refused(server: ServerLine, recording: Recording): Promise<Outcome | undefined> {
    const refused = this.#unable(recording) ?? (await this.#guarded(server, recording));
    this.#sentAll = recording === this.#plan.recordings.at(-1);
    if (refused !== undefined) this.#outcomes.set(recording, refused);
    return refused;
  }

  /** A session that was opened before the recording began: what its client said then is not on the tape. */
  async #settle(server: ServerLine, recording: Recording): Promise<void> {
    await this.#causes((recording.answer?.order ?? recording.order) + 0.5);
    const { order } = recording;
    await this.#tell(server, { method: 'notifications/initialized', order, text: INITIALIZED, batch: undefined });
  }

  #unable(recording: Recording): Outcome | undefined {
    if (this.#parts.stop.aborted) return { kind: 'skipped', why: STOPPED };
    if (this.#lost !== undefined) return { kind: 'skipped', why: `the server is gone: ${this.#lost.message}` };
    const flow = this.#parts.values.lacking(recording);
    if (flow === undefined) return undefined;
    const { recording: from, path } = flow.from;
    const line = (from.answer ?? from).place.line;
    return { kind: 'skipped', why: `it needs /${path.join('/')} of the answer on line ${line}, which did not come` };
  }

  async #guarded(server: ServerLine, recording: Recording): Promise<Outcome | undefined> {
    const { allowEffects, wantsSchemas } = this.#parts;
    if (recording.method !== 'tools/call' || (allowEffects && !wantsSchemas)) return undefined;
    this.#tools ??= await liveTools((method, params) => this.#ask(server, method, params), metaFor(recording));
    const name = recording.target ?? '';
    const { names, harmless } = this.#tools;
    if (allowEffects || (harmless.has(name) && !this.#effectful.has(name))) return undefined;
    const doubt = !names.has(name)
      ? 'the server does not list this tool, so nothing says that it is read-only'
      : harmless.has(name)
        ? 'the tool says that it is read-only, and did not when this was recorded'
        : 'the tool does not say that it is read-only';
    return { kind: 'blocked', why: `${doubt}: allow it with --allow-effects` };
  }

  /** A request of our own. */
  async #ask(server: ServerLine, method: string, params: JsonObject): Promise<Message | undefined> {
    const flight = this.#send(server, requestText('0', method, JSON.stringify(params)), undefined);
    const { clock, patience } = this.#parts;
    const began = clock.now();
    await this.#until(() => flight.outcome !== undefined, patience.answerMs);
    if (flight.outcome?.kind === 'answered') return flight.outcome.message;
    patience.missedAnswer(clock.now() - began);
    return undefined;
  }

  #send(server: ServerLine, text: string, recording: Recording | undefined): Flight {
    const flight = this.#flight(text, recording);
    flight.sent = this.#follow([flight], (signal) => server.send(flight.message, signal));
    return flight;
  }

  /** A request with an id of ours. */
  #flight(text: string, recording: Recording | undefined): Flight {
    const idText = String(this.#nextId);
    this.#nextId += 1;
    const message = readMessage(spliceMessage(text, [{ path: ['id'], json: idText }]));
    if (message?.method === undefined) throw new ProxyError('internal', 'a recorded request is none');
    const flight: Flight = { recording, message, outcome: undefined, sent: Promise.resolve() };
    this.#flights.set(idText, flight);
    return flight;
  }

  /** What one body brings: the answers to these requests. */
  async #follow(flights: readonly Flight[], send: (signal: AbortSignal) => Promise<Sent>): Promise<void> {
    const { signal } = this.#ended;
    let why: string | undefined;
    try {
      const { over, problem } = await send(signal);
      if (over) why = problem ?? 'the reply ended without an answer';
    } catch (error) {
      const reason = ProxyError.from(error);
      if (!signal.aborted) {
        if (!this.#received) this.#lost ??= reason;
        why = reason.message;
      }
    }
    if (why !== undefined) for (const flight of flights) flight.outcome ??= { kind: 'unanswered', why };
    this.#wake();
  }

  /** A notification as it is sent: none when it is not. */
  #noticeOf({ method, text }: ClientNotice): readonly Message[] {
    // What a client says about its progress is tagged with a token that the live server did not give.
    if (method === 'notifications/progress' || this.#lost !== undefined) return [];
    const message = readMessage(method === 'notifications/cancelled' ? this.#cancelling(text) : text);
    return message === undefined ? [] : [message];
  }

  async #tell(server: ServerLine, notice: ClientNotice): Promise<void> {
    const [message] = this.#noticeOf(notice);
    if (message === undefined) return;
    await this.#follow([], (signal) => server.send(message, signal));
    if (notice.method === 'notifications/initialized') await this.#listen(server);
  }

  /** Where something was said on the standing stream, what follows waits for it: it would be lost on one that is not open. */
  async #listen(server: ServerLine): Promise<void> {
    let open = false;
    this.#listening = server.listen().then(() => {
      open = true;
      this.#wake();
    });
    if (this.#plan.lane.stream.length > 0) await this.#until(() => open, UNASKED_MS);
  }

  /** The cancelled request by the id that it was sent with. */
  #cancelling(text: string): string {
    const path = ['params', 'requestId'];
    const recorded = textAt(text, path);
    const live = [...this.#flights].findLast(([, { recording }]) => recording?.message.idText === recorded)?.[0];
    return live === undefined ? text : spliceMessage(text, [{ path, json: live }]);
  }

  #hear(message: Message): void {
    this.#received = true;
    const problem = unreadable(message.text);
    if (message.kind === 'response') this.#answered(message, problem);
    else if (message.kind === 'request')
      this.#reply(problem === undefined ? this.#answerTo(message) : unknownQuestion(message));
    else if (problem !== undefined) return;
    else this.#heard.add(message, { sent: this.#flights.values(), late: this.#isOver() });
    this.#wake();
  }

  /** Whether all that was recorded was sent and answered. */
  #isOver(): boolean {
    return this.#sentAll && [...this.#flights.values()].every(({ outcome }) => outcome !== undefined);
  }

  #answered(message: Message, problem: string | undefined): void {
    const { idText } = message;
    const flight =
      idText === undefined || idText === 'null'
        ? [...this.#flights.values()].findLast(({ outcome }) => outcome === undefined)
        : this.#flights.get(idText);
    if (flight === undefined || flight.outcome !== undefined) return;
    if (problem !== undefined) {
      flight.outcome = { kind: 'unanswered', why: `the answer cannot be compared: ${problem}` };
      return;
    }
    flight.outcome = { kind: 'answered', message };
    if (flight.recording !== undefined) this.#parts.values.learn(flight.recording, message.text);
  }

  #answerTo(message: Message): string | undefined {
    return this.#questions.answer(message, causeOf(message, this.#flights.values()));
  }

  #reply(text: string | undefined): void {
    const message = text === undefined ? undefined : readMessage(text);
    const server = this.#server;
    if (message === undefined) return;
    // The line may still be opening when the first request comes.
    const sending = Promise.resolve()
      .then(() => (server ?? this.#server)?.send(message, this.#parts.stop))
      .then(ignore, ignore)
      .finally(() => this.#answering.delete(sending));
    this.#answering.add(sending);
  }
}

const STOPPED = 'it was told to stop';
const INITIALIZED = notificationText('notifications/initialized');

function ignore(): void {
  // A server that does not take an answer shows that in its own.
}
