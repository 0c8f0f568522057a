import { asObject, type JsonObject, META_SUBSCRIPTION, type Message, spliceMessage } from '@shadowcat/wire';
import { isEpoch, normalised } from '../normalise.js';
import { isFor, isLeftOut, type Overlay } from '../overlay.js';
import { leadsTo, type Pointer, pointerText } from '../pointer.js';
import { placeText, type Recording, type Step } from '../recording.js';
import { hasPlaceholder, type Redactor } from '../redact.js';
import { type AnswerDifference, type Comparing, compareSpots, type Level, shownSpot } from './compare.js';
import { rootOf } from './flows.js';
import { SESSION_MARK } from './live-values.js';
import { mergedText } from './merge.js';
import { type NoticeFinding, noticeFindings } from './notices.js';
import type { ClientPlay, Outcome } from './play-client.js';
import type { AskedLive } from './questions.js';
import { type Spot, spotAt } from './scalars.js';
import { schemaProblems } from './schema-problems.js';

/**
 * How a recorded exchange compares. `match`; `changed`: another answer; `error-shape`: an error instead of a result, the other
 * way round, or another code; `missing`: the recorded answer or request of the server's did not come; `extra`: one came that is
 * not on the tape. `blocked` (it may change something) and `skipped` (it could not be tried) are no passes.
 */
export type ExchangeStatus = 'match' | 'changed' | 'error-shape' | 'missing' | 'extra' | 'blocked' | 'skipped';

/** One recorded exchange, or a request or notification of the server's that is not as recorded. */
export interface ExchangeResult {
  readonly status: ExchangeStatus;
  readonly method: string;
  readonly target: string | undefined;
  /** `file:line` of what is compared: the recorded answer, where there is one. */
  readonly line: string;
  readonly file: string;
  readonly lineNumber: number;
  readonly differences: readonly AnswerDifference[];
  /** What happened, where no two values tell. */
  readonly why: string | undefined;
  /** Of a changed answer: the live one as the tape would have it. */
  readonly update: string | undefined;
  readonly recording: Recording | undefined;
}

export interface JudgeOptions {
  readonly level: Level;
  readonly overlay: Overlay;
  readonly redactor: Redactor;
}

/** Compares what a live server did with what was recorded. */
export function judgeClient(play: ClientPlay, options: JudgeOptions): readonly ExchangeResult[] {
  const judge = new Judge(play, options);
  return [
    ...play.plan.recordings.map((recording) => judge.exchange(recording)),
    ...judge.questions(),
    ...judge.notices(),
  ];
}

/** Answers of these are lost with the client that left; what else was never answered cannot be compared. */
const LEFT: ReadonlySet<string | undefined> = new Set(['cancelled-by-client', 'closed-by-client', 'open-at-end']);
const FAILED: ReadonlySet<string | undefined> = new Set(['closed-by-server', 'reset']);

class Judge {
  readonly #play: ClientPlay;
  readonly #options: JudgeOptions;

  constructor(play: ClientPlay, options: JudgeOptions) {
    this.#play = play;
    this.#options = options;
  }

  exchange(recording: Recording): ExchangeResult {
    const outcome = this.#play.outcomes.get(recording) ?? { kind: 'skipped', why: 'it was not its turn' };
    if (outcome.kind === 'blocked' || outcome.kind === 'skipped')
      return this.#result(recording, { status: outcome.kind, why: outcome.why });
    if (recording.answer === undefined) return this.#unrecorded(recording, outcome);
    if (outcome.kind === 'unanswered') return this.#result(recording, { status: 'missing', why: outcome.why });
    return this.#compared(recording, outcome.message);
  }

  /** Requests of the server's. */
  questions(): readonly ExchangeResult[] {
    const { asked, plan } = this.#play;
    const came = new Set(asked.map(({ as }) => as));
    const missing = plan.asked
      .filter((step) => !came.has(step) && !this.#leftOut(step.method))
      .flatMap((step) => this.#missing(step, 'the server did not ask this'));
    return [...missing, ...asked.flatMap((question) => this.#question(question))];
  }

  #question({ message, as, during }: AskedLive): readonly ExchangeResult[] {
    if (this.#leftOut(message.method)) return [];
    if (as === undefined) {
      const why = 'the server asked this, and the tape has no such request';
      const parts: Parts = { status: 'extra', why, differences: this.#unrecordedSaid(message) };
      return [ofServer(message.method, during?.place ?? this.#begin(), parts)];
    }
    const pair = { recorded: as.text, live: message.text, member: 'params' };
    const differences = this.#differences({ method: as.method ?? '', target: undefined }, pair);
    return differences.length === 0 ? [] : [ofServer(as.method, as.place, { status: 'changed', differences })];
  }

  /** Notifications of the server's. */
  notices(): readonly ExchangeResult[] {
    const { heard, plan, values } = this.#play;
    const findings = noticeFindings(plan.heard, heard, {
      level: this.#options.level,
      differences: ({ method = '', text }, live) =>
        this.#differences({ method, target: undefined }, { recorded: text, live: live.text, member: 'params' }),
      recordedText: ({ text }) => values.recorded(text),
      ignored: (method) => this.#leftOut(method),
    });
    return findings.flatMap((finding) => this.#notice(finding));
  }

  #leftOut(method: string | undefined): boolean {
    return isLeftOut(this.#options.overlay, method);
  }

  #unrecordedSaid({ text }: Message): readonly AnswerDifference[] {
    return saidAlone({ got: this.#shown(text) });
  }

  #notice({ step, live, differences }: NoticeFinding<AnswerDifference>): readonly ExchangeResult[] {
    if (step === undefined) {
      if (live === undefined) return [];
      const why = 'the server said this, and did not when this was recorded';
      const parts: Parts = { status: 'extra', why, differences: this.#unrecordedSaid(live.message) };
      return [ofServer(live.message.method, live.during?.place ?? this.#begin(), parts)];
    }
    if (live === undefined) return this.#missing(step, 'the server did not say this');
    const why = differences.length === 0 ? 'it came in another order' : undefined;
    return [ofServer(step.method, step.place, { status: 'changed', differences, why })];
  }

  /** A request or notification of the server's that did not come. */
  #missing(step: Step, why: string): readonly ExchangeResult[] {
    const { outcomes, plan } = this.#play;
    const isUnsent = (recording: Recording): boolean => {
      const kind = outcomes.get(recording)?.kind;
      return kind === 'blocked' || kind === 'skipped';
    };
    const owner = plan.owners.get(step);
    // That its request was not sent, or not answered, is told there.
    if (owner !== undefined && (isUnsent(owner) || outcomes.get(owner)?.kind === 'unanswered')) return [];
    if (owner !== undefined || !plan.recordings.some(isUnsent)) {
      const differences = saidAlone({ recorded: step.text });
      return [ofServer(step.method, step.place, { status: 'missing', why, differences })];
    }
    const open = 'the request that it came of may not have been sent';
    return [ofServer(step.method, step.place, { status: 'skipped', why: open })];
  }

  /** Where what nobody asked for is told. */
  #begin(): { readonly file: string; readonly line: number } {
    const { plan } = this.#play;
    return plan.recordings[0]?.place ?? { file: plan.lane.file, line: 1 };
  }

  /** There is no recorded answer to compare with. */
  #unrecorded(recording: Recording, outcome: Outcome): ExchangeResult {
    const end = recording.exit?.end;
    if (LEFT.has(end)) return this.#result(recording, { status: 'match' });
    // A refusal by HTTP alone: there is no answer now either.
    if (recording.raw !== undefined && outcome.kind === 'unanswered')
      return this.#result(recording, { status: 'match' });
    if (!FAILED.has(end)) {
      const why = 'the tape has no answer of the server to compare with';
      return this.#result(recording, { status: 'skipped', why });
    }
    if (outcome.kind !== 'answered') return this.#result(recording, { status: 'match' });
    return this.#result(recording, { status: 'extra', why: 'the server answered; it did not when this was recorded' });
  }

  #compared(recording: Recording, live: Message): ExchangeResult {
    const recorded = recording.answer?.value ?? {};
    const [was, is] = [asObject(recorded['error']), asObject(live.value['error'])];
    const member = was === undefined && is === undefined ? 'result' : 'error';
    const pair = { recorded: recording.answer?.text ?? '', live: this.#play.values.keyed(live.text), member };
    if ((was === undefined) !== (is === undefined)) {
      const ignored = this.#ignored(recording);
      const differences = wholeAnswers(pair.recorded, this.#shown(pair.live)).filter(({ path }) => !ignored(path));
      return this.#verdict(recording, 'error-shape', { live, differences });
    }
    const differences =
      this.#options.level === 'contract' ? this.#broken(recording, live) : this.#differences(recording, pair);
    const otherCode = was !== undefined && differences.some(({ pointer }) => pointer === '/error/code');
    return this.#verdict(recording, otherCode ? 'error-shape' : 'changed', { live, differences });
  }

  #verdict(
    recording: Recording,
    status: ExchangeStatus,
    { live, differences }: { readonly live: Message; readonly differences: readonly AnswerDifference[] },
  ): ExchangeResult {
    if (differences.length === 0) return this.#result(recording, { status: 'match' });
    return this.#result(recording, { status, differences, update: this.#updated(recording, live) });
  }

  #result(recording: Recording, parts: Parts): ExchangeResult {
    const place = recording.answer?.place ?? recording.place;
    const { method, target } = recording;
    return { ...whole(parts), method, target, recording, ...located(place) };
  }

  #differences(
    of: { readonly method: string; readonly target: string | undefined },
    { recorded, live, member }: { readonly recorded: string; readonly live: string; readonly member: string },
  ): readonly AnswerDifference[] {
    const { level } = this.#options;
    const comparing: Comparing = { ...this.#comparing(of), level: level === 'shape' ? 'shape' : 'json' };
    const compare = (text: string): AnswerDifference[] =>
      compareSpots(spotAt(rootOf(recorded), [member]), spotAt(rootOf(text), [member]), { comparing, path: [member] });
    const shown = this.#shown(live);
    // A secret of the answer's may be known by what flowed from it: by its own value and not by its placeholder.
    const raw = hasPlaceholder(recorded) ? new Set(compare(live).map(({ pointer }) => pointer)) : undefined;
    const found = compare(shown).filter(({ pointer }) => raw?.has(pointer) !== false);
    // A text of which some places do not count cannot be compared as a whole; what the server asks is compared as JSON.
    const partly = member === 'params' || this.#options.overlay.ignore.some((rule) => isFor(rule, of));
    if (level !== 'bytes' || partly || found.length > 0) return found;
    return this.#bytes(recorded, shown, member);
  }

  #comparing(of: { readonly method: string; readonly target: string | undefined }): Comparing {
    const same: Comparing['same'] = (one, other, path) => this.#same(of, { one, other, path });
    return { level: 'json', same, ignored: this.#ignored(of) };
  }

  #bytes(recorded: string, live: string, member: string): readonly AnswerDifference[] {
    const [one, other] = [sourceAt(recorded, member), sourceAt(this.#play.values.recorded(live), member)];
    if (one === other || other?.includes(SESSION_MARK) === true) return [];
    return [{ path: [member], pointer: `/${member}`, recorded: one, got: other }];
  }

  /** The live answer against what the live server promises. */
  #broken(recording: Recording, live: Message): readonly AnswerDifference[] {
    const result = asObject(live.value['result']);
    const schema = this.#play.tools?.schemas.get(recording.target ?? '');
    if (recording.method !== 'tools/call' || result === undefined) return [];
    const was = asObject(recording.answer?.value['result']);
    const path: Pointer = ['result', 'isError'];
    if ((was?.['isError'] === true) !== (result['isError'] === true))
      return [
        { path, pointer: pointerText(path), recorded: was?.['isError'] === true, got: result['isError'] === true },
      ];
    if (schema === undefined || result['isError'] === true) return [];
    return this.#againstSchema(schema, result).filter(({ path: at }) => !this.#ignored(recording)(at));
  }

  #againstSchema(schema: JsonObject, result: JsonObject): readonly AnswerDifference[] {
    const base: Pointer = ['result', 'structuredContent'];
    return schemaProblems(schema, result['structuredContent'] ?? null, base).map(({ path, wanted }) => {
      const got = path.slice(1).reduce<unknown>((value, step) => {
        return Array.isArray(value) ? (value[Number(step)] as unknown) : asObject(value)?.[step];
      }, result);
      return { path, pointer: pointerText(path), recorded: `outputSchema: ${wanted}`, got };
    });
  }

  #ignored(of: { readonly method: string; readonly target: string | undefined }): (path: Pointer) => boolean {
    const { ignore } = this.#options.overlay;
    const rules = ignore.filter((rule) => isFor(rule, of));
    return (path) =>
      path.at(-1) === META_SUBSCRIPTION ||
      (path[0] === 'params' && path[1] === '_meta') ||
      // A request of the server's own, by its id.
      (of.method === 'notifications/cancelled' && path[1] === 'requestId') ||
      rules.some(({ at }) => at.some((place) => leadsTo(place, path)));
  }

  /** Whether two scalars stand for each other: by data flow, or by a normaliser of the overlay's. */
  #same(
    of: { readonly method: string; readonly target: string | undefined },
    { one, other, path }: { readonly one: string; readonly other: string; readonly path: Pointer },
  ): boolean {
    if (this.#play.values.same(one, other)) return true;
    const rules = this.#options.overlay.normalise.filter((rule) => {
      return isFor(rule, of) && (rule.at === undefined || rule.at.some((place) => leadsTo(place, path)));
    });
    if (rules.some(({ as, at }) => as === 'timestamp' && at !== undefined) && isEpoch(one) && isEpoch(other))
      return true;
    if (rules.length === 0 || !one.startsWith('"')) return false;
    const plain = (text: string): string => rules.reduce((out, { as }) => normalised(out, as), text);
    return plain(one) === plain(other);
  }

  /** A live text as it may be shown and stored. */
  #shown(text: string): string {
    const marked = this.#play.secrets.reduce((out, secret) => out.replaceAll(secret, SESSION_MARK), text);
    return this.#options.redactor.json(marked);
  }

  /** The live answer for the tape. What counts as equal stays as it was recorded, so that only what changed is another text. */
  #updated(recording: Recording, { text }: Message): string {
    const { values, secrets } = this.#play;
    const { level, redactor } = this.#options;
    const live = redactor.known(redactor.json(values.recorded(values.keyed(text))), secrets);
    const path = ['result'];
    const [was, is] = [recording.answer?.text ?? '{}', live].map((one) => spotAt(rootOf(one), path));
    if (level === 'bytes' || was === undefined || is === undefined) return live;
    return spliceMessage(live, [{ path, json: mergedText(was, is, { comparing: this.#comparing(recording), path }) }]);
  }
}

function wholeAnswers(recorded: string, live: string): AnswerDifference[] {
  const [one, other] = [rootOf(recorded), rootOf(live)];
  const same = (): boolean => false;
  const comparing: Comparing = { level: 'json', same, ignored: (path) => path[0] !== 'result' && path[0] !== 'error' };
  return ['result', 'error'].flatMap((member) =>
    compareSpots(spotAt(one, [member]), spotAt(other, [member]), { comparing, path: [member] }),
  );
}

/** A request or notification that only one of the two servers sent. */
function saidAlone({ recorded, got }: { readonly recorded?: string; readonly got?: string }): AnswerDifference[] {
  const said = (text: string | undefined): unknown =>
    text && shownSpot(spotAt(rootOf(text), ['params']) ?? rootOf('{}'));
  return [{ path: ['params'], pointer: '/params', recorded: said(recorded), got: said(got) }];
}

function sourceAt(text: string, member: string): string | undefined {
  const spot: Spot | undefined = spotAt(rootOf(text), [member]);
  return spot?.text.slice(spot.node.start, spot.node.end);
}

type Parts = Partial<Pick<ExchangeResult, 'differences' | 'why' | 'update'>> & Pick<ExchangeResult, 'status'>;

const whole = ({ status, differences = [], why, update }: Parts) => ({ status, differences, why, update });

function located(place: { readonly file: string; readonly line: number }) {
  return { line: placeText(place), file: place.file, lineNumber: place.line };
}

function ofServer(
  method: string | undefined,
  place: { readonly file: string; readonly line: number },
  parts: Parts,
): ExchangeResult {
  return { ...whole(parts), method: method ?? '', target: undefined, recording: undefined, ...located(place) };
}
