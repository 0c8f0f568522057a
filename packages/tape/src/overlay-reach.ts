import { jsonTree } from './json-tree.js';
import { libraryOf } from './library.js';
import { eachAt } from './masked.js';
import { isEpoch, normalised } from './normalise.js';
import {
  type FaultRule,
  isFor,
  type NormaliseRule,
  type Normaliser,
  type Overlay,
  type Selector,
  selectorText,
} from './overlay.js';
import { type Pointer, pointerText } from './pointer.js';
import type { Recording } from './recording.js';
import type { Tape } from './records.js';
import { type RequestShape, shapeOf } from './request-key.js';
import { type Spot, scalarsOf, spotsAt } from './verify/scalars.js';

/** How many recorded requests a rule of an overlay has something to do with. */
export interface RuleReach {
  /** Where the rule stands: `x.overlay.yaml:3:5`. */
  readonly where: string;
  /** The rule in a few words. */
  readonly rule: string;
  /** Absent: the rule is for requests that are not recorded. */
  readonly touches?: number;
}

/** Holds each rule of an overlay against the tapes; in the order of the overlay's kinds. */
export function overlayReach(overlay: Overlay, tapes: readonly Tape[]): readonly RuleReach[] {
  const { sessions, sessionless } = libraryOf(tapes);
  const lanes = [...sessions, sessionless];
  const asked = lanes.flatMap(({ recordings }) => recordings).map(askedOf);
  const said = lanes.flatMap(({ recordings, stream }) => [...recordings.flatMap(({ steps }) => steps), ...stream]);
  const reach = (
    rule: Selector & { readonly where: string },
    what: string,
    touches: (one: AskedOnTape) => boolean,
  ): Reached => ({
    where: rule.where,
    rule: what,
    touches: asked.filter((one) => isFor(rule, one.recording) && touches(one)).length,
  });
  const { ignore, bind, normalise, replace, answer, latency, faults, expect } = overlay;
  return [
    ...ignore.map((rule) => {
      const what = `ignore ${placesText(rule, rule.at)}`;
      const found = reach(rule, what, (one) => rule.at.some((at) => isThere(one, at)));
      // What verify does not compare of what the server says or asks of its own accord.
      const own = said.filter(({ method, text }) => method === rule.method && rule.at.some((at) => holds(text, at)));
      return { ...found, touches: found.touches + own.length };
    }),
    ...bind.map((rule) =>
      reach(rule, `bind ${placesText(rule, rule.at)}`, (one) => rule.at.some((at) => isThere(one, at))),
    ),
    ...normalise.map((rule) =>
      reach(rule, `normalise ${rule.as} ${placesText(rule, rule.at ?? [])}`, (one) => changes(one, rule)),
    ),
    ...replace.map((rule) => reach(rule, `replace ${placesText(rule, [rule.at])}`, (one) => isSent(one, rule.at))),
    ...answer.map((rule) => ({ where: rule.where, rule: `answer ${selectorText(rule)}` })),
    ...latency.map((rule) => reach(rule, `latency ${selectorText(rule)}`, () => true)),
    ...faults.map((rule) => faultReach(rule, reach)),
    ...expect.map((rule) => reach(rule, `expect ${selectorText(rule)}`, () => true)),
  ];
}

type Reached = Required<RuleReach>;

interface AskedOnTape {
  readonly recording: Recording;
  readonly shape: RequestShape;
}

function askedOf(recording: Recording): AskedOnTape {
  return { recording, shape: shapeOf(recording.method, recording.message.text) };
}

function placesText(rule: Selector, at: readonly Pointer[]): string {
  return [selectorText(rule), ...at.map(pointerText)].join(' ');
}

/** Places of answers begin with this; all others are places of parameters. */
const OF_ANSWER = new Set(['result', 'error']);

function isThere({ recording, shape }: AskedOnTape, at: Pointer): boolean {
  if (OF_ANSWER.has(at[0] ?? '')) return recording.answer !== undefined && holds(recording.answer.text, at);
  let found = false;
  eachAt(shape.params, at, () => {
    found = true;
  });
  return found;
}

function isSent({ recording }: AskedOnTape, at: Pointer): boolean {
  return recording.steps.some(({ text }) => holds(text, at));
}

/** Whether there is something at a place of a message; for `/params` alone it is enough that there is the message. */
function holds(text: string, at: Pointer): boolean {
  const whole = at.length === 1 && at[0] === 'params';
  return whole || !spotsAt({ text, node: jsonTree(text) }, at).next().done;
}

function changes({ recording, shape }: AskedOnTape, { as, at }: NormaliseRule): boolean {
  const { params, text } = shape;
  const asked = params === undefined ? [] : [{ text, node: params }];
  if (at === undefined) return asked.some((spot) => isOfKind(spot, as, false));
  const answer = recording.answer?.text;
  const answered = answer === undefined ? [] : [{ text: answer, node: jsonTree(answer) }];
  return at.some((place) => {
    const roots: readonly Spot[] = OF_ANSWER.has(place[0] ?? '') ? answered : asked;
    return roots.some((root) => [...spotsAt(root, place)].some((spot) => isOfKind(spot, as, true)));
  });
}

function isOfKind(spot: Spot, as: Normaliser, numbers: boolean): boolean {
  return [...scalarsOf(spot, true)].some(({ kind, value }) => {
    return kind === 'string' ? normalised(value, as) !== value : numbers && as === 'timestamp' && isEpoch(value);
  });
}

/** A fault for the third request touches nothing where there are two; one before the fifth event where there are four. */
function faultReach(
  rule: FaultRule,
  reach: (rule: FaultRule, what: string, touches: (one: AskedOnTape) => boolean) => Reached,
): RuleReach {
  const ofEvent =
    rule.fault === 'disconnect' || rule.fault === 'close' || rule.fault === 'drop' || rule.fault === 'reorder';
  const least = rule.fault === 'reorder' ? rule.event + 1 : rule.event;
  const found = reach(
    rule,
    `${rule.fault} ${selectorText(rule)}`,
    ({ recording }) => !ofEvent || recording.steps.length >= least,
  );
  const first = Math.min(...(rule.nth ?? [1]));
  return found.touches < first ? { ...found, touches: 0 } : found;
}
