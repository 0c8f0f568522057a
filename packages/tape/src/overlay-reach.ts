import { jsonTree, stringOf } from './json-tree.js';
import { libraryOf } from './library.js';
import { eachAt } from './masked.js';
import { isEpoch, normalised } from './normalise.js';
import { type FaultRule, isFor, type NormaliseRule, type Overlay, type Selector, selectorText } from './overlay.js';
import { type Pointer, pointerText } from './pointer.js';
import type { Recording } from './recording.js';
import type { Tape } from './records.js';
import { type RequestShape, shapeOf } from './request-key.js';

/** How many recorded requests a rule of an overlay has something to do with. */
export interface RuleReach {
  /** Where the rule stands: `x.overlay.yaml:3:5`. */
  readonly where: string;
  /** The rule in a few words. */
  readonly rule: string;
  readonly touches: number;
}

/** Holds each rule of an overlay against the tapes; in the order of the overlay's kinds. */
export function overlayReach(overlay: Overlay, tapes: readonly Tape[]): readonly RuleReach[] {
  const { sessions, sessionless } = libraryOf(tapes);
  const asked = [...sessions, sessionless].flatMap(({ recordings }) => recordings).map(askedOf);
  const reach = (
    rule: Selector & { readonly where: string },
    what: string,
    touches: (one: AskedOnTape) => boolean,
  ): RuleReach => ({
    where: rule.where,
    rule: what,
    touches: asked.filter((one) => isFor(rule, one.recording) && touches(one)).length,
  });
  const { ignore, bind, normalise, replace, latency, faults, expect } = overlay;
  return [
    ...ignore.map((rule) =>
      reach(rule, `ignore ${placesText(rule, rule.at)}`, (one) => rule.at.some((at) => isThere(one, at))),
    ),
    ...bind.map((rule) =>
      reach(rule, `bind ${placesText(rule, rule.at)}`, (one) => rule.at.some((at) => isThere(one, at))),
    ),
    ...normalise.map((rule) =>
      reach(rule, `normalise ${rule.as} ${placesText(rule, rule.at ?? [])}`, (one) => changes(one, rule)),
    ),
    ...replace.map((rule) => reach(rule, `replace ${placesText(rule, [rule.at])}`, (one) => isSent(one, rule.at))),
    ...latency.map((rule) => reach(rule, `latency ${selectorText(rule)}`, () => true)),
    ...faults.map((rule) => faultReach(rule, reach)),
    ...expect.map((rule) => reach(rule, `expect ${selectorText(rule)}`, () => true)),
  ];
}

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

function holds(text: string, at: Pointer): boolean {
  let found = false;
  eachAt(jsonTree(text), at, () => {
    found = true;
  });
  return found;
}

function changes({ shape }: AskedOnTape, { as, at }: NormaliseRule): boolean {
  const { params, text } = shape;
  let found = false;
  const look: Parameters<typeof eachAt>[2] = (node) => {
    if (node.kind === 'object') for (const { value } of node.members) look(value);
    else if (node.kind === 'array') for (const item of node.items) look(item);
    else if (node.kind === 'string') found ||= normalised(stringOf(text, node), as) !== stringOf(text, node);
    else if (at !== undefined && as === 'timestamp') found ||= isEpoch(text.slice(node.start, node.end));
  };
  if (at === undefined) eachAt(params, [], look);
  else for (const place of at) eachAt(params, place, look);
  return found;
}

/** A fault for the third request touches nothing where there are two; one before the fifth event where there are four. */
function faultReach(
  rule: FaultRule,
  reach: (rule: FaultRule, what: string, touches: (one: AskedOnTape) => boolean) => RuleReach,
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
