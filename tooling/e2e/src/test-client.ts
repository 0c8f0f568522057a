import type { Json } from './json.js';

/** Where a server is: at a URL, or behind a command that speaks stdio. */
export type Target =
  | { readonly url: string }
  | {
      readonly command: string;
      readonly args?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      readonly cwd?: string;
    };

export interface Root {
  readonly uri: string;
  readonly name?: string;
}

export interface ConnectOptions {
  /** What the client answers to `roots/list`. */
  readonly roots?: readonly Root[];
  /** Gets every message of the server's as it arrives, before the SDK makes anything of it. */
  readonly onMessage?: (message: Json) => void;
}

export interface Progress {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/** A request of the server to the client, without its `_meta`. */
export interface ServerRequest {
  readonly method: string;
  readonly params: Json;
}

interface CallOptions {
  /** Asks for progress notifications and gets each. */
  readonly onProgress?: (progress: Progress) => void;
}

/** What the tours need of a client, whichever SDK it is. Answers are plain JSON; errors are the SDK's own. */
export interface TestClient extends AsyncDisposable {
  readonly era: 'legacy' | 'modern';
  /** Requests of the server that were answered, oldest first. */
  readonly requests: readonly ServerRequest[];
  /** `notifications/message` that arrived, oldest first. */
  readonly logs: readonly Json[];
  /** Not in 2026-07-28, which has no `ping`. */
  ping(): Promise<Json>;
  listTools(): Promise<Json>;
  listResources(): Promise<Json>;
  listResourceTemplates(): Promise<Json>;
  listPrompts(): Promise<Json>;
  readResource(uri: string): Promise<Json>;
  getPrompt(name: string, args?: Readonly<Record<string, string>>): Promise<Json>;
  callTool(name: string, args: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<Json>;
  complete(prompt: string, argument: { readonly name: string; readonly value: string }): Promise<Json>;
}

/** No request of a test may take longer. */
export const REQUEST_MS = 40_000;

export const CLIENT_CAPABILITIES = { sampling: {}, elicitation: {}, roots: { listChanged: true } };

export const DEFAULT_ROOTS: readonly Root[] = [{ uri: 'file:///srv/e2e-root', name: 'e2e' }];
