import { type Clock, type Exchange, type Handler, type Log, ProxyError, type Timer } from '@shadowcat/kernel';
import {
  asObject,
  isModern,
  LEGACY_VERSIONS,
  META_CLIENT_CAPABILITIES,
  META_CLIENT_INFO,
  META_VERSION,
  type Message,
  MODERN,
  modernHeaders,
  readMessage,
  requestText,
} from '@shadowcat/wire';
import { type Answer, errorOf, readAnswer } from './answers.js';
import { ownExchange } from './own-exchange.js';

export type Known = 'yes' | 'no' | 'unknown';

/** After this long a "no" is doubted: servers are replaced by newer ones while a proxy runs. Milliseconds. */
const ASK_AGAIN_MS = 60_000;
/** A server that does not answer `server/discover` within this time does not know it. Milliseconds. */
const PATIENCE_MS = 10_000;

export interface EraFactsComponents {
  readonly upstream: Handler;
  readonly clock: Clock;
  readonly log: Log;
  readonly newId: () => string;
}

/** Whether a target speaks the modern revision: what its answers say about it, and a `server/discover` of the proxy's own. */
export class EraFacts {
  readonly #target: string;
  readonly #components: EraFactsComponents;
  readonly #asking = new Set<AbortController>();
  #modern: Known = 'unknown';
  #since = 0;
  #flight: Promise<Answer | undefined> | undefined;

  constructor(target: string, components: EraFactsComponents) {
    this.#target = target;
    this.#components = components;
  }

  get modern(): Known {
    return this.#modern;
  }

  /** Whether what is known is so old that it should be asked again. */
  get stale(): boolean {
    return this.#modern !== 'unknown' && this.#components.clock.now() - this.#since >= ASK_AGAIN_MS;
  }

  learn(modern: Known): void {
    this.#since = this.#components.clock.now();
    if (modern === this.#modern) return;
    this.#modern = modern;
    const says = modern === 'yes' ? 'speaks' : 'does not speak';
    if (modern !== 'unknown')
      this.#components.log.info({ target: this.#target }, `${this.#target} ${says} MCP ${MODERN}`);
  }

  /**
   * Asks the target. Resolves with `undefined` once it is known, or with an answer that is no evidence (401, 403, 5xx, …), for
   * the client to see. Rejects with what kept it from asking.
   */
  async find(client: Exchange): Promise<Answer | undefined> {
    await this.#flight?.catch(() => undefined);
    if (this.#modern !== 'unknown') return undefined;
    return this.#ask(client);
  }

  /** Asks again while the old answer still counts. Failures are no news. */
  refresh(client: Exchange): void {
    if (this.#flight !== undefined) return;
    this.#since = this.#components.clock.now();
    this.#ask(client).catch((error: unknown) =>
      this.#components.log.debug({ err: error, target: this.#target }, 'the era of a target could not be asked again'),
    );
  }

  close(): void {
    for (const controller of this.#asking) controller.abort(new ProxyError('draining', 'the proxy is ending'));
  }

  #ask(client: Exchange): Promise<Answer | undefined> {
    const flight = this.#discover(client).finally(() => {
      if (this.#flight === flight) this.#flight = undefined;
    });
    this.#flight = flight;
    return flight;
  }

  async #discover(client: Exchange): Promise<Answer | undefined> {
    const { upstream, clock, newId } = this.#components;
    const controller = new AbortController();
    this.#asking.add(controller);
    let late = false;
    const timer: Timer = clock.timer(PATIENCE_MS, () => {
      late = true;
      controller.abort(new ProxyError('upstream_timeout', `${this.#target} did not answer server/discover in time`));
    });
    const id = `discover-${newId().slice(0, 8)}`;
    const message = discoverMessage(id);
    const { signal } = controller;
    try {
      const made = ownExchange({ id, client, method: 'POST', message, headers: modernHeaders(message), signal });
      const answer = await readAnswer(await upstream(made), id);
      const known = evidenceOf(answer);
      if (known === 'unknown') return answer;
      this.learn(known);
    } catch (error) {
      if (!late && !isRefusal(error)) throw error;
      this.learn('no');
    } finally {
      timer.cancel();
      this.#asking.delete(controller);
    }
    return undefined;
  }
}

function discoverMessage(id: string): Message {
  const meta = {
    [META_VERSION]: MODERN,
    [META_CLIENT_INFO]: { name: 'shadowcat', version: '1' },
    [META_CLIENT_CAPABILITIES]: {},
  };
  const text = requestText(JSON.stringify(id), 'server/discover', JSON.stringify({ _meta: meta }));
  return readMessage(text) as Message;
}

/** A command that ends at a request that it does not know, or a server that answers with something that is no MCP. */
export function isRefusal(error: unknown): boolean {
  return error instanceof ProxyError && (error.code === 'child_exited' || error.code === 'upstream_protocol');
}

/** What an answer to `server/discover` says about the target's revisions. */
export function evidenceOf({ status, message }: Answer): Known {
  if (status === 401 || status === 403 || status === 408 || status === 429 || status >= 500) return 'unknown';
  const result = asObject(message?.value['result']);
  if (result !== undefined) return speaksModern(result['supportedVersions']) ? 'yes' : 'no';
  const error = errorOf(message);
  if (error === undefined) return status >= 300 && status < 400 ? 'unknown' : 'no';
  // Only modern servers speak of header mismatches and missing capabilities.
  if (error.code === -32020 || error.code === -32021) return 'yes';
  if (error.code === -32022) return speaksModern(asObject(error.data)?.['supported']) ? 'yes' : 'no';
  return 'no';
}

/** Whether a refusal of `initialize` says that the server has modern revisions only (2026-07-28, "Versioning"). */
export function isModernOnly(message: Message | undefined): boolean {
  const error = errorOf(message);
  if (error?.code !== -32022) return false;
  const supported = asObject(error.data)?.['supported'];
  return speaksModern(supported) && !(supported as string[]).some((version) => LEGACY_VERSIONS.includes(version));
}

function speaksModern(versions: unknown): boolean {
  return Array.isArray(versions) && versions.some((version) => typeof version === 'string' && isModern(version));
}
