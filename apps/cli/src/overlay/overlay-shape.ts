import { FAULTS, NORMALISERS, type Overlay } from '@shadowcat/tape';
import { duration, int, oneOf, text } from '../options/scalar-types.js';
import { list, record, type Shape, type Sited, scalar, sited } from '../sections/shape.js';
import { errorCode, jsonValue, pointer, probability } from './overlay-types.js';

/** A rule as it was read: members that it leaves out are absent, those in `R` are there. */
type Placed<T, R extends keyof T> = { readonly where: string } & {
  readonly [K in Exclude<keyof T, R>]?: Exclude<T[K], undefined>;
} & { readonly [K in R]: Exclude<T[K], undefined> };

/** Rules with the place where each stands. `required`: what the shape has seen to. */
function placed<T extends object, R extends keyof T = never>(
  rules: readonly Sited<T>[] | undefined,
  ..._required: readonly R[]
): Placed<T, R>[] {
  return (rules ?? []).map(({ value, where }) => {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return { ...Object.fromEntries(members), where: where.slice(0, where.lastIndexOf(': ')) } as Placed<T, R>;
  });
}

const field = <T>(shape: Shape<T>, help: string) => ({ shape, help });
const needed = <T>(shape: Shape<T>, help: string) => ({ shape, help, required: true });

const selector = {
  method: field(scalar(text('method')), 'which requests; without it all'),
  target: field(scalar(text('name')), 'tool or prompt name, or resource URI; without it all'),
};
const places = list(scalar(pointer));
const count = scalar(int({ min: 1, max: 1_000_000 }));
const times = scalar(int({ min: 0, max: 1_000_000 }));
const ms = scalar(duration({ zero: true }));

const placesRule = record('a rule with "at"', {
  ...selector,
  at: needed(places, 'places in the parameters (/arguments/path) or, with /result in front, in the answer'),
});

const normaliseRule = record('a rule with "as"', {
  ...selector,
  as: needed(scalar(oneOf(...NORMALISERS)), 'the kind of value'),
  at: field(places, 'where; without it in all texts'),
});

const replaceRule = record('a rule with "at" and "with"', {
  ...selector,
  at: needed(scalar(pointer), 'where in what the server sent, such as /result/content/0/text'),
  with: needed(jsonValue, 'what is put there'),
});

const answerRule = record('a rule with "method" and "with"', {
  ...selector,
  method: needed(scalar(text('method')), 'which requests'),
  with: needed(jsonValue, 'the result'),
});

const latencyRule = record('a rule with "delay"', {
  ...selector,
  delay: needed(ms, 'how long the answer is held back'),
  jitter: field(ms, 'how much longer at most, by chance'),
});

const faultRule = record('a rule with "fault"', {
  ...selector,
  fault: needed(scalar(oneOf(...FAULTS)), 'what goes wrong'),
  nth: field(list(count), 'which requests, counted from 1; without it each'),
  probability: field(scalar(probability), 'how often, by chance'),
  event: field(count, 'disconnect, close: before which message; drop, reorder: which message; default 1'),
  code: field(scalar(errorCode), 'error: the code; default -32603'),
  message: field(scalar(text('text')), 'error: the message'),
  'retry-after': field(ms, 'rate-limit, close: when the client may come back'),
});

const expectRule = record('a rule with how often', {
  ...selector,
  times: field(times, 'exactly so often'),
  'at-least': field(times, 'so often or more; default 1'),
  'at-most': field(times, 'so often or less'),
});

/** What may stand in an overlay file. */
export const overlayShape = record('an overlay', {
  seed: field(scalar(int({ min: 0, max: 2_147_483_647 })), 'decides what is left to chance; default 1'),
  ignore: field(rules(placesRule), 'places that are not compared'),
  normalise: field(rules(normaliseRule), 'kinds of values that are equal'),
  bind: field(
    rules(placesRule),
    "places that hold a value of the client's own, which then stands for the recorded one",
  ),
  replace: field(rules(replaceRule), 'values that are sent instead of the recorded ones'),
  answer: field(rules(answerRule), 'results of requests that are not on the tapes'),
  latency: field(rules(latencyRule), 'answers that are held back'),
  faults: field(rules(faultRule), 'what goes wrong on purpose'),
  expect: field(rules(expectRule), 'how often something has to be asked for'),
});

/** An overlay file as it was read. */
export type OverlayFile = NonNullable<ReturnType<(typeof overlayShape)['read']>>;

function rules<T>(rule: Shape<T>): Shape<readonly Sited<T>[]> {
  return list(sited(rule));
}

/** The overlay that a file holds. */
export function overlayOf(file: OverlayFile): Overlay {
  return {
    ...(file.seed === undefined ? {} : { seed: file.seed }),
    ignore: placed(file.ignore, 'at'),
    normalise: placed(file.normalise, 'as'),
    bind: placed(file.bind, 'at'),
    replace: placed(file.replace, 'at', 'with').map(({ with: json, ...rule }) => ({ ...rule, json })),
    answer: placed(file.answer, 'method', 'with').map(({ with: json, ...rule }) => ({ ...rule, json })),
    latency: placed(file.latency, 'delay').map(({ delay, jitter, ...rule }) => ({
      ...rule,
      ms: delay,
      jitterMs: jitter ?? 0,
    })),
    faults: placed(file.faults, 'fault').map(({ event, 'retry-after': retryMs, ...rule }) => ({
      ...rule,
      event: event ?? 1,
      ...(retryMs === undefined ? {} : { retryMs }),
    })),
    expect: placed(file.expect).map(({ times: exactly, 'at-least': least, 'at-most': most, ...rule }) => ({
      ...rule,
      min: exactly ?? least ?? (most === undefined ? 1 : 0),
      max: exactly ?? most ?? Number.POSITIVE_INFINITY,
    })),
  };
}
