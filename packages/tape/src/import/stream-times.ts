import type { Frame } from '@shadowcat/kernel';
import { asObject, type JsonObject } from '@shadowcat/wire';

/** A moment shorter than any time between two things that a file tells apart, in milliseconds. */
export const MOMENT = 0.001;

/** What a session's client sent, and when: what the events of its streams can be put between. */
export class ClientSide {
  readonly #sent = new Map<string, number[]>();

  /** Messages in the order of their times. */
  sent(at: number, message: JsonObject): void {
    const { method, id } = message;
    const key =
      typeof method === 'string'
        ? keyOf(method, asObject(message['params']))
        : id === undefined
          ? undefined
          : answerKey(id);
    if (key === undefined) return;
    const times = this.#sent.get(key);
    if (times === undefined) this.#sent.set(key, [at]);
    else times.push(at);
  }

  /** When the first such message was sent, from `from` on and not behind `to`. */
  next(keys: readonly string[], from: number, to: number): number | undefined {
    const found = keys.map((key) => firstFrom(this.#sent.get(key) ?? [], from)).filter((at) => at !== undefined);
    const at = Math.min(...found);
    return found.length > 0 && at <= to ? at : undefined;
  }

  /** The same, but not the first one of all: what was never asked before is not asked again. */
  again(keys: readonly string[], from: number, to: number): number | undefined {
    const first = Math.min(...keys.map((key) => this.#sent.get(key)?.[0] ?? Number.POSITIVE_INFINITY));
    return this.next(keys, Math.max(from, first + MOMENT), to);
  }
}

/** The first of ascending numbers that is not below `from`. */
function firstFrom(times: readonly number[], from: number): number | undefined {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < from) low = middle + 1;
    else high = middle;
  }
  return times[low];
}

function keyOf(method: string, params: JsonObject | undefined): string {
  const uri = method === 'resources/read' ? params?.['uri'] : undefined;
  return typeof uri === 'string' ? `${method} ${uri}` : method;
}

function answerKey(id: unknown): string {
  return `answer ${JSON.stringify(id)}`;
}

/** What a client asks for again when it hears that it changed. */
const LISTS: Readonly<Record<string, readonly string[]>> = {
  'notifications/tools/list_changed': ['tools/list'],
  'notifications/prompts/list_changed': ['prompts/list'],
  'notifications/resources/list_changed': ['resources/list', 'resources/templates/list'],
};

interface Stay {
  readonly frame: Frame;
  at: number | undefined;
  /** Whether `at` is certain: nothing may be put behind it that comes before. */
  readonly firm: boolean;
  /** What follows comes behind the client's answer. */
  readonly asks: boolean;
}

/**
 * When the events of a stream came that its file has in one piece: a question right before the client's answer to it; the last answer at the
 * end; news of a list or resource right before that was asked for again; everything else as early as its neighbours allow. Where the
 * file has a time for each (`known`), those. `guessed` counts the events that nothing was known of.
 */
export function streamTimes(
  frames: readonly Frame[],
  stream: {
    readonly from: number;
    readonly to: number;
    readonly client: ClientSide;
    readonly known?: readonly (number | undefined)[] | undefined;
  },
): { readonly times: number[]; readonly guessed: number } {
  const stays = anchored(frames, stream);
  let bound = Number.POSITIVE_INFINITY;
  for (const stay of stays.toReversed()) {
    if (stay.at !== undefined && stay.at > bound) stay.at = undefined;
    else if (stay.at !== undefined && stay.firm) bound = stay.at;
  }
  let last = stream.from;
  let guessed = 0;
  const times = stays.map(({ frame, at, asks }) => {
    if (at === undefined && frame.message !== undefined) guessed += 1;
    const time = Math.max(last, at ?? last);
    last = asks && at !== undefined ? time + 2 * MOMENT : time;
    return time;
  });
  return { times, guessed };
}

function anchored(frames: readonly Frame[], stream: Parameters<typeof streamTimes>[1]): Stay[] {
  const { from, to, client } = stream;
  const known = stream.known?.length === frames.length ? stream.known : undefined;
  let since = from;
  return frames.map((frame, index): Stay => {
    const at = known?.[index];
    if (at !== undefined) return { frame, at: Math.min(Math.max(at, from), to), firm: true, asks: false };
    const message = asObject(frame.message);
    const { method, id } = message ?? {};
    if (message === undefined) return { frame, at: undefined, firm: false, asks: false };
    if (typeof method !== 'string')
      return { frame, at: index === frames.length - 1 ? to : undefined, firm: true, asks: false };
    if (id !== undefined) {
      const answered = client.next([answerKey(id)], since, to);
      if (answered !== undefined) since = answered + MOMENT;
      return { frame, at: answered === undefined ? undefined : answered - MOMENT, firm: true, asks: true };
    }
    const news = newsOf(method, message);
    const again = news === undefined ? undefined : client.again(news, since, to);
    return { frame, at: again === undefined ? undefined : again - MOMENT, firm: false, asks: false };
  });
}

/** What a client asks when it hears this. */
function newsOf(method: string, message: JsonObject): readonly string[] | undefined {
  if (method !== 'notifications/resources/updated') return LISTS[method];
  const uri = asObject(message['params'])?.['uri'];
  return typeof uri === 'string' ? [`resources/read ${uri}`] : undefined;
}
