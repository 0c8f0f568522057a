import type { Rung } from '@shadowcat/tape';

/** A server that is a command, spoken to over its stdin and stdout. No shell is involved. */
export interface CommandUpstream {
  readonly command: string;
  readonly args?: readonly string[];
  /** Besides the basic variables, which children always get. Values of secret names are hidden on the tape. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the working directory. */
  readonly cwd?: string;
}

/** A server with an address: `http(s)://`, `ws(s)://`, or `sse+http(s)://` for the legacy HTTP+SSE pair. */
export interface UrlUpstream {
  readonly url: string | URL;
  /** Sent with each request; never on the tape. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The real server, which is only talked to when a tape is recorded, or with `SHADOWCAT_MODE=live`. */
export type Upstream = string | URL | UrlUpstream | CommandUpstream;

/** What a test says about its tape. Paths are relative to the test file. */
export interface TapeOptions {
  /** Where answers come from while the tape is recorded, and in live mode. Without it the tape can only be replayed. */
  readonly upstream?: Upstream;
  /**
   * Whether the tape is replayed in every mode: because another test records it, or because nobody can any more. Default false.
   */
  readonly replayOnly?: boolean;
  /**
   * Whether recordings that nobody asked for fail the test. Default true. Not looked at when the test failed anyway, or when
   * some tests that share the tape did not run.
   */
  readonly allUsed?: boolean;
  /** Overlay files: what is not compared, bound, replaced, late or broken. */
  readonly overlay?: string | URL | readonly (string | URL)[];
  /** When answers come: at once (default), as recorded, or `x2` for twice as fast. */
  readonly time?: 'instant' | 'recorded' | `x${number}`;
  /** The loosest way by which a request may match a recording. Default `rule`. */
  readonly maxRung?: Rung;
}

/** Whether the test can record its tape again, in the mode for that. */
export function canRecord({ upstream, replayOnly }: TapeOptions): boolean {
  return upstream !== undefined && replayOnly !== true;
}
