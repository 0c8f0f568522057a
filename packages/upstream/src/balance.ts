import {
  type Clock,
  type ErrorCode,
  type Exchange,
  type Handler,
  type Log,
  ProxyError,
  type Reply,
} from '@shadowcat/kernel';
import { sessionSlot, targetSlot } from '@shadowcat/wire';

export interface BalanceTarget {
  /** As in the configuration; sessions are bound to it. */
  readonly name: string;
  readonly handler: Handler;
}

export interface BalanceOptions {
  /** Transport failures in a row that eject a target. Default 5. */
  readonly failures?: number;
  /** Milliseconds for which an ejected target gets nothing new, give or take a fifth. Default 30 s. */
  readonly ejectFor?: number;
}

export interface BalanceComponents {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 to 1; spreads the ends of ejections. Default: no spread. */
  readonly random?: () => number;
}

/**
 * `up`; `ejected`: failed too often, gets no new sessions for a while; `probing`: the while is over, and one exchange at a
 * time finds out whether it is back.
 */
export type TargetCondition = 'up' | 'ejected' | 'probing';

/** A target as health and metrics see it. */
export interface TargetState {
  readonly name: string;
  readonly condition: TargetCondition;
  /** Transport failures in a row. */
  readonly failures: number;
  /** Exchanges that wait for the head of their reply. */
  readonly waiting: number;
  /** The last transport failure, until an exchange succeeds. */
  readonly lastError: string | undefined;
  /** How often it was ejected. */
  readonly ejections: number;
}

export interface Balance extends Handler {
  states(): readonly TargetState[];
}

/**
 * Chooses a target for each exchange and says which (`targetSlot`). Exchanges of a session go where the session lives;
 * others take turns. A target whose transport fails several times in a row gets nothing new for a while; when all are
 * ejected they are all tried, since refusing unheard helps nobody. Another target is tried only after
 * `upstream_unreachable`, which promises that nothing was sent, and only for a body that can be sent twice.
 */
export function balance(
  targets: readonly BalanceTarget[],
  options: BalanceOptions,
  components: BalanceComponents,
): Balance {
  const chooser = new Chooser(targets, options, components);
  return Object.assign((exchange: Exchange) => chooser.handle(exchange), { states: () => chooser.states() });
}

/** What says something about the transport. An answer of any kind, an error included, proves that the target is alive. */
const COUNTED: ReadonlySet<ErrorCode> = new Set([
  'upstream_unreachable',
  'upstream_timeout',
  'upstream_closed',
  'child_exited',
  'spawn_failed',
]);

class Chooser {
  readonly #members: readonly Member[];
  readonly #log: Log;
  #turn = 0;

  constructor(targets: readonly BalanceTarget[], options: BalanceOptions, components: BalanceComponents) {
    if (targets.length === 0) throw new ProxyError('internal', 'there is no upstream to send to; name at least one');
    this.#log = components.log;
    this.#members = targets.map((target) => new Member(target, options, components));
  }

  states(): readonly TargetState[] {
    return this.#members.map((member) => member.state());
  }

  async handle(exchange: Exchange): Promise<Reply> {
    const bound = exchange.context.get(sessionSlot)?.upstream?.target;
    if (bound !== undefined) return this.#bound(bound).ask(exchange);
    const tried = new Set<Member>();
    for (;;) {
      const member = this.#next(tried);
      tried.add(member);
      try {
        return await member.ask(exchange);
      } catch (error) {
        if (!mayGoElsewhere(error, exchange) || tried.size === this.#members.length) throw error;
        this.#log.warn({ exchange: exchange.id, target: member.name }, `${error.message}; trying the next upstream`);
      }
    }
  }

  /** Where a session lives is not a matter of choice, however that target is doing. */
  #bound(target: string): Member {
    const member = this.#members.find(({ name }) => name === target);
    if (member !== undefined) return member;
    const message = `the session lives on ${target}, which is no upstream any more; open a new session`;
    throw new ProxyError('session_not_found', message);
  }

  #next(tried: ReadonlySet<Member>): Member {
    const members = this.#members;
    const start = this.#turn;
    this.#turn = (start + 1) % members.length;
    let last: Member | undefined;
    for (let i = 0; i < members.length; i += 1) {
      const member = members[(start + i) % members.length];
      if (member === undefined || tried.has(member)) continue;
      if (member.open) return member;
      last ??= member;
    }
    if (last === undefined) throw new ProxyError('internal', 'all upstreams were tried');
    return last;
  }
}

class Member {
  readonly name: string;
  readonly #handler: Handler;
  readonly #threshold: number;
  readonly #ejectFor: number;
  readonly #components: BalanceComponents;
  #failures = 0;
  #waiting = 0;
  #probes = 0;
  #ejections = 0;
  #ejectedUntil: number | undefined;
  #lastError: string | undefined;

  constructor(target: BalanceTarget, options: BalanceOptions, components: BalanceComponents) {
    this.name = target.name;
    this.#handler = target.handler;
    this.#threshold = options.failures ?? 5;
    this.#ejectFor = options.ejectFor ?? 30_000;
    this.#components = components;
  }

  /** Whether it takes new exchanges. */
  get open(): boolean {
    const condition = this.#condition();
    return condition === 'up' || (condition === 'probing' && this.#probes === 0);
  }

  state(): TargetState {
    return {
      name: this.name,
      condition: this.#condition(),
      failures: this.#failures,
      waiting: this.#waiting,
      lastError: this.#lastError,
      ejections: this.#ejections,
    };
  }

  async ask(exchange: Exchange): Promise<Reply> {
    exchange.context.set(targetSlot, this.name);
    const probe = this.#ejectedUntil === undefined ? 0 : 1;
    this.#waiting += 1;
    this.#probes += probe;
    try {
      const reply = await this.#handler(exchange);
      this.#succeeded();
      return reply;
    } catch (error) {
      this.#failed(error);
      throw error;
    } finally {
      this.#waiting -= 1;
      this.#probes -= probe;
    }
  }

  #condition(): TargetCondition {
    if (this.#ejectedUntil === undefined) return 'up';
    return this.#components.clock.now() < this.#ejectedUntil ? 'ejected' : 'probing';
  }

  #succeeded(): void {
    if (this.#ejectedUntil !== undefined) this.#components.log.info({ target: this.name }, `${this.name} is back`);
    this.#failures = 0;
    this.#ejectedUntil = undefined;
    this.#lastError = undefined;
  }

  #failed(thrown: unknown): void {
    const error = ProxyError.from(thrown);
    if (!COUNTED.has(error.code)) return;
    this.#failures += 1;
    this.#lastError = error.message;
    if (this.#failures < this.#threshold || this.#condition() === 'ejected') return;
    const { clock, log, random } = this.#components;
    const spread = random === undefined ? 1 : 1 + (random() - 0.5) * 0.4;
    this.#ejectedUntil = clock.now() + this.#ejectFor * spread;
    this.#ejections += 1;
    log.warn(
      { target: this.name, failures: this.#failures },
      `${this.name} gets nothing new for a while: ${error.message}`,
    );
  }
}

function mayGoElsewhere(error: unknown, exchange: Exchange): error is ProxyError {
  const unsent = error instanceof ProxyError && error.code === 'upstream_unreachable';
  return unsent && exchange.body.ready !== undefined && !exchange.signal.aborted;
}
