import {
  type Clock,
  type Context,
  type ErrorCode,
  type Exchange,
  type Layer,
  type Log,
  ProxyError,
  type Reply,
} from '@shadowcat/kernel';
import { callSlot, targetSlot } from '@shadowcat/wire';
import { avoidSlot, namerSlot } from '../member.js';
import { outcomeOfStatus } from './gateway-status.js';
import { isRepeatable } from './repeatable.js';
import type { RetryBudget } from './retry-budget.js';
import { ToolHints } from './tool-hints.js';

export interface RetryOptions {
  /** How often an exchange is sent at most, the first time included. Default 3; 1: nothing is sent again. */
  readonly attempts?: number | undefined;
  /** Tools that may be called twice, besides those that say so themselves. */
  readonly tools?: readonly string[] | undefined;
  /** Whether tools are believed that say so (`readOnlyHint`, `idempotentHint`). Default true. */
  readonly hints?: boolean | undefined;
}

export interface RetryComponents {
  readonly clock: Clock;
  readonly log: Log;
  readonly budget: RetryBudget;
  /** 0 to 1. */
  readonly random: () => number;
  /** Told of each repetition, with the target that failed. */
  readonly retried?: ((target: string) => void) | undefined;
}

/** The wait before the second attempt is anything up to this, before the third up to twice as long. Milliseconds. */
const FIRST_MS = 100;
/** A server that wants to be left alone for longer is; its answer goes to the client. Milliseconds. */
const PATIENCE_MS = 5_000;

/** Not a byte was sent: anything may be sent again. */
const UNSENT: ReadonlySet<ErrorCode> = new Set(['upstream_unreachable', 'spawn_failed']);
/** It may have arrived, and there will be no answer. Not a timeout: the time for another attempt is spent then. */
const LOST: ReadonlySet<ErrorCode> = new Set(['upstream_closed', 'child_exited']);

type Failure =
  | { readonly error: ProxyError; readonly reply?: undefined }
  | { readonly reply: Reply; readonly error?: undefined };

/**
 * Sends again what failed, where that cannot do harm: what certainly never left, requests that only read, and tools that may be
 * called twice. Never once an answer has begun, never without budget, and not sooner than a server asks for (`Retry-After`).
 * Stands around the handler that chooses, which then avoids the members that failed.
 */
export function retry(options: RetryOptions, components: RetryComponents): Layer {
  const { budget } = components;
  const again = new Retry(options, components);
  return (next) => async (exchange) => {
    if (exchange.context.get(callSlot)?.expectsAnswer === true) budget.request();
    for (let attempt = 1; ; attempt += 1) {
      let failure: Failure;
      try {
        const reply = await next(exchange);
        if (outcomeOfStatus(reply.head.status) === 'answered') return again.learn(exchange, reply);
        failure = { reply };
      } catch (thrown) {
        failure = { error: ProxyError.from(thrown) };
      }
      if (!(await again.allows(exchange, failure, attempt))) {
        if (failure.reply !== undefined) return failure.reply;
        throw failure.error;
      }
      await failure.reply?.[Symbol.asyncDispose]();
    }
  };
}

class Retry {
  readonly #attempts: number;
  readonly #tools: ReadonlySet<string>;
  readonly #hints: ToolHints | undefined;
  readonly #components: RetryComponents;

  constructor(options: RetryOptions, components: RetryComponents) {
    this.#attempts = options.attempts ?? 3;
    this.#tools = new Set(options.tools ?? []);
    this.#hints = options.hints === false || this.#attempts === 1 ? undefined : new ToolHints();
    this.#components = components;
  }

  learn({ context }: Exchange, answer: Reply): Reply {
    if (this.#hints === undefined) return answer;
    return this.#hints.watch(context.get(callSlot), namerOf(context), answer);
  }

  /** Waits until the next attempt may be made; false when there is none. */
  async allows(exchange: Exchange, failure: Failure, attempt: number): Promise<boolean> {
    const { budget, random, log, retried } = this.#components;
    const target = exchange.context.get(targetSlot) ?? '';
    if (attempt >= this.#attempts || !this.#isSafe(exchange, failure)) return false;
    const asked = retryAfterOf(failure);
    if (asked > PATIENCE_MS || !budget.spend()) return false;
    avoid(exchange, target);
    const wait = Math.max(asked, random() * FIRST_MS * 2 ** (attempt - 1));
    if (!(await this.#pause(wait, exchange.signal))) return false;
    const said = failure.error?.message ?? `${target} answered with HTTP ${failure.reply?.head.status}`;
    log.debug({ exchange: exchange.id, target, attempt }, `${said}; sending it again`);
    retried?.(target);
    return true;
  }

  #isSafe(exchange: Exchange, { error, reply }: Failure): boolean {
    if (exchange.body.ready === undefined || exchange.signal.aborted) return false;
    if (error !== undefined && UNSENT.has(error.code)) return true;
    if (error !== undefined && !LOST.has(error.code)) return false;
    if (reply !== undefined && outcomeOfStatus(reply.head.status) !== 'transport-failure') return false;
    const namer = namerOf(exchange.context) ?? '';
    const mayRepeat = (tool: string): boolean => this.#tools.has(tool) || this.#hints?.marked(namer, tool) === true;
    return isRepeatable(exchange.context.get(callSlot), mayRepeat);
  }

  /** False when nobody waits any more. */
  #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const left = (): void => {
        timer.cancel();
        resolve(false);
      };
      const timer = this.#components.clock.timer(ms, () => {
        signal.removeEventListener('abort', left);
        resolve(true);
      });
      if (signal.aborted) left();
      else signal.addEventListener('abort', left, { once: true });
    });
  }
}

/** Who knows tools by the names that the client uses. */
function namerOf(context: Context): string | undefined {
  return context.get(namerSlot) ?? context.get(targetSlot);
}

/** Whoever chooses takes another one than `target` while there is any. */
function avoid({ context }: Exchange, target: string): void {
  context.set(avoidSlot, new Set([...(context.get(avoidSlot) ?? []), target]));
}

/** How long the server asks to be left alone, in milliseconds; a date is as good as "later". */
function retryAfterOf({ error, reply }: Failure): number {
  if (error !== undefined) return (error.retryAfter ?? 0) * 1000;
  const field = reply.head.headers['retry-after'];
  if (field === undefined) return 0;
  const seconds = Number(field);
  return Number.isFinite(seconds) ? Math.max(0, seconds) * 1000 : Number.POSITIVE_INFINITY;
}
