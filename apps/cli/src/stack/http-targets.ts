import type { Clock } from '@shadowcat/kernel';
import type { MetadataOrigin } from '@shadowcat/pipeline';
import {
  DocumentClient,
  HttpClient,
  type HttpUpstream,
  type HttpUpstreamComponents,
  httpUpstream,
} from '@shadowcat/transport-http';
import type { PartHealth } from './admin.js';
import type { UpstreamConfig, UrlTarget } from './contract.js';
import type { Recoveries } from './recoveries.js';

/** How long a server may take to prove that it is there. */
const PROBE_MS = 2000;
/** Health is asked often by several; one probe serves those who ask within this time. */
const PROBE_FRESH_MS = 1000;

/** One HTTP server to send to, and how it is. */
export interface HttpTarget {
  readonly name: string;
  readonly handler: HttpUpstream;
  /** Its OAuth documents. */
  readonly metadata: MetadataOrigin;
  health(): Promise<PartHealth>;
  close(): Promise<void>;
}

/** Opens no connection by itself. */
export function httpTarget(
  target: UrlTarget,
  config: UpstreamConfig,
  components: Pick<HttpUpstreamComponents, 'clock' | 'log'> & Recoveries,
): HttpTarget {
  const handler = httpUpstream(
    {
      target: target.name,
      url: target.url,
      connectTimeout: config.connectTimeoutMs,
      firstByteTimeout: config.firstByteTimeoutMs,
      headers: config.headers,
      forwardAuthorization: config.forwardAuthorization,
      onUpstreamLoss: config.onLoss,
    },
    { ...components, resumed: (outcome) => components.resumed(target.name, outcome) },
  );
  const documents = new DocumentClient({ url: target.url }, components);
  const probe = new Probe(new URL(target.url), components.clock);
  return {
    name: target.name,
    handler,
    metadata: { name: target.name, url: target.url, document: (path) => documents.get(path) },
    health: () => probe.health(),
    close: async () => {
      await probe.close();
      await documents.close();
      await handler.close();
    },
  };
}

/**
 * Asks a server whether it is there: any answer to OPTIONS, whatever its status, proves a live HTTP server, and it opens no
 * session and calls nothing.
 */
class Probe {
  readonly #client: HttpClient;
  readonly #clock: Clock;
  #last: { readonly at: number; readonly health: Promise<PartHealth> } | undefined;

  constructor(url: URL, clock: Clock) {
    this.#client = new HttpClient({ url, connectTimeout: PROBE_MS });
    this.#clock = clock;
  }

  health(): Promise<PartHealth> {
    const now = this.#clock.now();
    if (this.#last === undefined || now - this.#last.at > PROBE_FRESH_MS) this.#last = { at: now, health: this.#ask() };
    return this.#last.health;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #ask(): Promise<PartHealth> {
    const started = this.#clock.now();
    try {
      const reply = await this.#client.send({ method: 'OPTIONS', headers: [], firstByteTimeout: PROBE_MS });
      await reply[Symbol.asyncDispose]();
      return { ok: true, ms: Math.round(this.#clock.now() - started) };
    } catch (error) {
      return { ok: false, detail: error instanceof Error ? error.message : String(error) };
    }
  }
}
