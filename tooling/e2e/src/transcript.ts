import { type Json, toJson } from './json.js';
import type { ServerRequest, TestClient } from './test-client.js';

/** One request of a tour and everything that came back for it. */
export interface Step {
  readonly request: string;
  readonly params?: Json;
  readonly answer?: Json;
  readonly error?: { readonly code: Json; readonly message: string };
  readonly progress?: readonly Json[];
  /** What the server asked the client meanwhile, except for its roots: servers ask for these when they like. */
  readonly asked?: readonly ServerRequest[];
  readonly logs?: readonly Json[];
}

/** Plain JSON without anything that differs from run to run, so that two transcripts can be compared deeply. */
export type Transcript = readonly Step[];

export interface CallWatch {
  /** Ask for progress and write it down. */
  readonly progress?: boolean;
  /** Write down the log messages that come before the answer. */
  readonly logs?: boolean;
}

/** Makes the requests of a tour and writes down what comes back, in the order in which it was asked for; errors are written down too, not thrown. */
export class Scribe {
  readonly steps: Step[] = [];
  readonly era: TestClient['era'];
  readonly #client: TestClient;
  readonly #received: readonly Json[];

  /** @param received everything that the client gets, in order; it grows */
  constructor(client: TestClient, received: readonly Json[]) {
    this.#client = client;
    this.#received = received;
    this.era = client.era;
  }

  listTools(): Promise<void> {
    return this.#write({ request: 'tools/list' }, () => this.#client.listTools());
  }

  listResources(): Promise<void> {
    return this.#write({ request: 'resources/list' }, () => this.#client.listResources());
  }

  listResourceTemplates(): Promise<void> {
    return this.#write({ request: 'resources/templates/list' }, () => this.#client.listResourceTemplates());
  }

  listPrompts(): Promise<void> {
    return this.#write({ request: 'prompts/list' }, () => this.#client.listPrompts());
  }

  read(uri: string): Promise<void> {
    return this.#write({ request: 'resources/read', params: { uri } }, () => this.#client.readResource(uri));
  }

  prompt(name: string, args?: Readonly<Record<string, string>>): Promise<void> {
    const params = toJson({ name, arguments: args });
    return this.#write({ request: 'prompts/get', params }, () => this.#client.getPrompt(name, args));
  }

  complete(prompt: string, name: string, value: string): Promise<void> {
    const params = { prompt, name, value };
    return this.#write({ request: 'completion/complete', params }, () =>
      this.#client.complete(prompt, { name, value }),
    );
  }

  async call(name: string, args: Readonly<Record<string, unknown>> = {}, watch: CallWatch = {}): Promise<void> {
    const logsBefore = this.#client.logs.length;
    const before = this.#received.length;
    const head = { request: 'tools/call', params: toJson({ name, arguments: args }) };
    const options = watch.progress === true ? { onProgress: () => {} } : {};
    await this.#write(
      head,
      () => this.#client.callTool(name, args, options),
      () => ({
        ...(watch.progress === true && { progress: this.#received.slice(before).flatMap(progressIn) }),
        ...(watch.logs === true && { logs: this.#client.logs.slice(logsBefore) }),
      }),
    );
  }

  async #write(head: Step, ask: () => Promise<Json>, extras: () => Partial<Step> = () => ({})): Promise<void> {
    const place = this.steps.push(head) - 1;
    const before = this.#client.requests.length;
    const outcome = await ask().then(
      (answer) => ({ answer }),
      (error: unknown) => ({ error: errorOf(error) }),
    );
    const asked = this.#client.requests.slice(before).filter(({ method }) => method !== 'roots/list');
    this.steps[place] = { ...head, ...outcome, ...(asked.length > 0 && { asked }), ...extras() };
  }
}

/**
 * What arrives counts, not what the SDK hands on: it drops progress that it reads together with the answer. The token is of one
 * hop and differs from run to run.
 */
function progressIn(message: Json): Json[] {
  const { method, params } = message as { readonly method?: string; readonly params?: Readonly<Record<string, Json>> };
  if (method !== 'notifications/progress' || params === undefined) return [];
  const { progressToken: _, _meta, ...rest } = params;
  return [rest];
}

function errorOf(error: unknown): { code: Json; message: string } {
  if (!(error instanceof Error)) return { code: null, message: String(error) };
  return { code: 'code' in error ? toJson(error.code) : null, message: error.message };
}
