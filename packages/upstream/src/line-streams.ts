import { type LineClient, type SessionHandle, StandingStream, streamConflict } from '@shadowcat/wire';
import type { LineLease } from './line-upstream.js';

interface Attached {
  readonly stream: StandingStream;
  line: LineClient | undefined;
  lease: LineLease | undefined;
}

export interface LineStreamsOptions {
  readonly acquire: (session: SessionHandle) => Promise<LineLease>;
  /** Whether a stream ends when its line does: for sessions that are lost with their line. */
  readonly endWithLine: boolean;
}

/**
 * The GET streams of sessions. A stream belongs to its client: it stays open when the line behind it dies, and joins the
 * next one. While it is open it holds a lease, so that a line is not closed as idle under a client that listens; once the
 * client has left, the lease is on sufferance.
 */
export class LineStreams {
  readonly #options: LineStreamsOptions;
  readonly #streams = new Map<string, Attached>();

  constructor(options: LineStreamsOptions) {
    this.#options = options;
  }

  /** Throws `stream_conflict` while the session has one. */
  open(session: SessionHandle): StandingStream {
    if (this.#streams.get(session.id)?.stream.open === true) throw streamConflict();
    const stream = new StandingStream({ session });
    const attached: Attached = { stream, line: undefined, lease: undefined };
    this.#streams.set(session.id, attached);
    const stop = session.onUnused?.(() => loosen(attached));
    stream.onClose(() => {
      stop?.();
      if (this.#streams.get(session.id) === attached) this.#streams.delete(session.id);
      attached.lease?.release();
      attached.lease = undefined;
    });
    return stream;
  }

  /** Lets the session's stream, if it has one, listen to this line. */
  async attach(session: SessionHandle, line: LineClient): Promise<void> {
    const attached = this.#streams.get(session.id);
    if (attached === undefined || attached.line === line) return;
    attached.line = line;
    attached.lease?.release();
    attached.lease = undefined;
    line.attach(attached.stream);
    if (this.#options.endWithLine) {
      line.onClosed(() => {
        if (attached.line === line) attached.stream.end();
      });
    }
    // The caller leases the line at this moment, so this one comes at once.
    const lease = await this.#options.acquire(session);
    if (!attached.stream.open || attached.line !== lease.value) {
      lease.release();
      return;
    }
    attached.lease = lease;
    loosen(attached);
  }

  close(session: SessionHandle): void {
    this.#streams.get(session.id)?.stream.end();
  }
}

/** Streams are kept for clients that may come back. Most of those that left do not, and others may need the place. */
function loosen({ stream, lease }: Attached): void {
  lease?.loosen?.(() => stream.session.inUse === false);
}
