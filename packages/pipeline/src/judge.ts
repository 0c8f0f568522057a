import { type Clock, type Exchange, type Log, ProxyError } from '@shadowcat/kernel';
import { type Call, type Message, sessionSlot } from '@shadowcat/wire';
import { amended } from './amend.js';
import { held } from './held.js';
import type { Direction, Intercepted, Interceptor, Verdict } from './interceptor.js';
import type { Refusal } from './refusal.js';

/** What became of a message: it passes, perhaps as another, or it is blocked. */
export type Judgement = { readonly passes: true; readonly message: Message } | ({ readonly passes: false } & Refusal);

/** What is known about a message besides itself. */
export type Circumstances = Omit<Intercepted, 'message'> & { readonly signal: AbortSignal };

export interface JudgeComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** How long one interceptor may hold one message, in milliseconds. */
  readonly maxPause: number;
  /** Told of every verdict, for metrics; `failed` is an interceptor that threw or answered what it may not. */
  readonly onVerdict: (interceptor: string, action: Verdict['action'] | 'failed') => void;
}

/** Codes of JSON-RPC errors that a proxy may use for itself (MCP 2026-07-28 keeps those below for the protocol). */
const CODES = { from: -32019, to: -32000 };

/** What an exchange says about one of its messages. */
export function circumstancesOf(
  exchange: Exchange,
  call: Call,
  about: Pick<Circumstances, 'direction' | 'kind' | 'method'>,
): Circumstances {
  const { target, era } = call;
  const session = exchange.context.get(sessionSlot)?.id;
  return { ...about, target, era, session, exchange: exchange.id, signal: exchange.signal };
}

/** Whether an interceptor wants to see messages of this direction and method. */
export function concerns(interceptor: Interceptor, direction: Direction, method: string): boolean {
  const { directions, methods } = interceptor;
  if (directions !== undefined && !directions.includes(direction)) return false;
  if (methods === undefined) return true;
  return methods.some((wanted) => (wanted.endsWith('*') ? method.startsWith(wanted.slice(0, -1)) : method === wanted));
}

/** Asks the interceptors in their order. Rejects only when the exchange was given up while a message was held. */
export async function judge(
  interceptors: readonly Interceptor[],
  subject: { readonly message: Message; readonly circumstances: Circumstances },
  components: JudgeComponents,
): Promise<Judgement> {
  const { circumstances } = subject;
  let { message } = subject;
  for (const interceptor of interceptors) {
    if (!concerns(interceptor, circumstances.direction, circumstances.method)) continue;
    let judgement: Judgement;
    try {
      judgement = await ask(interceptor, { message, circumstances }, components);
    } catch (thrown) {
      judgement = failure(interceptor, { thrown, circumstances }, components);
    }
    if (!judgement.passes) return judgement;
    message = judgement.message;
  }
  return { passes: true, message };
}

/** Asks one interceptor until its verdict is not `pause`. */
async function ask(
  interceptor: Interceptor,
  subject: { readonly message: Message; readonly circumstances: Circumstances },
  components: JudgeComponents,
): Promise<Judgement> {
  const { message, circumstances } = subject;
  const { signal, ...known } = circumstances;
  const deadline = components.clock.now() + components.maxPause;
  for (let pauses = 0; ; pauses += 1) {
    const copy = JSON.parse(message.text) as Record<string, unknown>;
    const control = { signal, pauses, log: components.log };
    const verdict = await interceptor.intercept({ ...known, message: copy }, control);
    if (verdict?.action !== 'pause') {
      const judgement = settled(interceptor, message, verdict);
      components.onVerdict(interceptor.name, verdict.action);
      return judgement;
    }
    components.onVerdict(interceptor.name, 'pause');
    await held(verdict.until, { signal, clock: components.clock, deadline });
  }
}

function settled(
  interceptor: Interceptor,
  message: Message,
  verdict: Exclude<Verdict, { action: 'pause' }>,
): Judgement {
  switch (verdict?.action) {
    case 'continue':
      return { passes: true, message };
    case 'modify':
      return { passes: true, message: amended(message, verdict.message) };
    case 'block':
      return blocked(interceptor, verdict);
    default:
      throw new Error('its verdict is none of continue, modify, block and pause');
  }
}

function blocked(interceptor: Interceptor, verdict: Extract<Verdict, { action: 'block' }>): Judgement {
  const { reason, code } = verdict;
  if (typeof reason !== 'string') throw new Error('it blocked without a reason');
  if (code !== undefined && !(Number.isInteger(code) && code >= CODES.from && code <= CODES.to)) {
    throw new Error(`it blocked with the code ${String(code)}, which is not in ${CODES.from}..${CODES.to}`);
  }
  return { passes: false, error: refusal(interceptor, reason), code };
}

/** In doubt, deny. The details are the operator's, so they go to the log and not to the client. */
function failure(
  interceptor: Interceptor,
  problem: { readonly thrown: unknown; readonly circumstances: Circumstances },
  components: JudgeComponents,
): Judgement {
  const { thrown, circumstances } = problem;
  if (thrown instanceof ProxyError && thrown.code === 'cancelled') throw thrown;
  components.onVerdict(interceptor.name, 'failed');
  const { exchange, direction, method } = circumstances;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  components.log.error(
    { interceptor: interceptor.name, exchange, direction, method, err: thrown },
    `interceptor ${interceptor.name} failed, and the message was blocked: ${why}`,
  );
  const reason = `the interceptor ${interceptor.name} failed; the proxy's log says why`;
  return { passes: false, error: refusal(interceptor, reason), code: undefined };
}

function refusal(interceptor: Interceptor, reason: string): ProxyError {
  return new ProxyError('blocked', reason, { data: { interceptor: interceptor.name } });
}
