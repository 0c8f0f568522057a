import { type Edit, type JsonObject, spliceMessage } from '@shadowcat/wire';
import { Bindings } from '../bindings.js';
import type { Recording } from '../recording.js';
import { type Flow, rootOf } from './flows.js';
import { inputKeys, withLiveKeys, withRecordedKeys } from './input-keys.js';
import { scalarAt, scalarsOf } from './scalars.js';

/** What a session's own id becomes before answers are compared; on the tape it is a placeholder made of another id. */
export const SESSION_MARK = '~redacted.session~';
const PLACEHOLDER = '~redacted\\.[0-9a-f]{16}~';

/** The values that the live server minted in the place of the recorded ones. One for each lane. */
export class LiveValues {
  readonly #flows: readonly Flow[];
  readonly #live = new Map<Flow, string>();
  readonly #bindings = new Bindings();
  /** Keys of the server's questions in the last answers (2026-07-28), live by recorded. */
  readonly #keys = new Map<string, string>();

  constructor(flows: readonly Flow[]) {
    this.#flows = flows;
  }

  /** The live answer to a recorded request has come: what flows from it is known now. */
  learn(recording: Recording, answer: string): void {
    if (recording.next !== undefined && answer.includes('inputRequests')) {
      const live = JSON.parse(answer) as JsonObject;
      for (const [was, is] of inputKeys(recording.answer?.value, live)) this.#keys.set(was, is);
    }
    const flows = this.#flows.filter(({ from }) => from.recording === recording);
    if (flows.length === 0) return;
    const root = rootOf(answer);
    const there = new Set([...scalarsOf(root, true)].map(({ value }) => value));
    for (const flow of flows) {
      const live = liveValue(flow, scalarAt(root, flow.from.path), there);
      if (live === undefined) continue;
      this.#live.set(flow, live);
      this.#bindings.bind(canonical(flow.kind, flow.value), canonical(flow.kind, live));
    }
  }

  /** The values that differ from the recorded ones, with where they came from. */
  get captured(): readonly { readonly flow: Flow; readonly live: string }[] {
    return [...this.#live].filter(([flow, live]) => flow.value !== live).map(([flow, live]) => ({ flow, live }));
  }

  /** What a recorded request needs that the live server did not give. */
  lacking(recording: Recording): Flow | undefined {
    return this.#flows.find((flow) => !this.#live.has(flow) && flow.uses.some((use) => use.recording === recording));
  }

  /** A recorded request with the live values in it; every other byte as it was. */
  request(recording: Recording): string {
    const root = rootOf(recording.message.text);
    const edits: Edit[] = [];
    for (const { flow, live } of this.captured) {
      for (const { path } of flow.uses.filter((use) => use.recording === recording)) {
        const recorded = scalarAt(root, path);
        if (recorded === undefined) continue;
        const value = recorded === flow.value ? live : recorded.replaceAll(flow.value, live);
        edits.push({ path, json: canonical(flow.kind, value) });
      }
    }
    const text = withLiveKeys(recording.message.text, this.#keys);
    return edits.length === 0 ? text : spliceMessage(text, edits);
  }

  /** Whether a live string or number stands for the recorded one. Both as JSON text. */
  same(recorded: string, live: string): boolean {
    if (recorded === live) return true;
    if (!this.#bindings.empty && (this.#bindings.recordedOf(live) === recorded || this.#sameWords(recorded, live)))
      return true;
    return live.includes(SESSION_MARK) && new RegExp(`^${pattern(live)}$`).test(recorded);
  }

  /** Short values count in texts where they are words of their own. */
  #sameWords(recorded: string, live: string): boolean {
    let out = recorded;
    for (const { flow, live: value } of this.captured) {
      out = out.replaceAll(new RegExp(`(?<!\\w)${escaped(flow.value)}(?!\\w)`, 'g'), () => value);
    }
    return out === live;
  }

  /** A live answer with the recorded keys where the server chose others for its questions. */
  keyed(text: string): string {
    return withRecordedKeys(text, this.#keys);
  }

  /** A live message as the recorded server would have sent it: with the recorded values. */
  recorded(text: string): string {
    return this.#bindings.empty ? text : new Reversed(this.#bindings).of(text);
  }
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');

const pattern = (live: string): string => live.split(SESSION_MARK).map(escaped).join(PLACEHOLDER);

class Reversed {
  readonly #bindings: Bindings;

  constructor(bindings: Bindings) {
    this.#bindings = bindings;
  }

  of(text: string): string {
    const edits: Edit[] = [];
    for (const { path, kind, value } of scalarsOf(rootOf(text), false)) {
      const live = canonical(kind, value);
      const recorded = this.#bindings.recordedOf(live);
      if (recorded !== live && kind === 'string') edits.push({ path, json: recorded });
    }
    return edits.length === 0 ? text : spliceMessage(text, edits);
  }
}

/** The live value of a flow. One that is still in the answer, wherever, did not change. */
function liveValue(flow: Flow, found: string | undefined, there: ReadonlySet<string>): string | undefined {
  const { within } = flow.from;
  if (within === undefined) return there.has(flow.value) ? flow.value : found;
  for (const text of there) {
    if (text.includes(flow.value)) return flow.value;
  }
  if (found === undefined) return undefined;
  const at = found.lastIndexOf(within.before);
  if (at < 0) return undefined;
  const rest = found.slice(at + within.before.length);
  const end = within.after === '' ? rest.length : rest.indexOf(within.after);
  const word = /^[^\s"'<>]+/.exec(end < 0 ? rest : rest.slice(0, end))?.[0];
  return word;
}

function canonical(kind: Flow['kind'], value: string): string {
  return kind === 'number' ? value : JSON.stringify(value);
}
