import { type Connection, ProxyError } from '@shadowcat/kernel';
import { settled } from './manual-clock.js';
import type { SuiteRunner } from './session-store-compliance.js';

/** The other end of the line under test, as a test drives it. */
export interface FarEnd {
  /** Sends one message to the near end; resolves when it may send more. */
  send(text: string): Promise<void>;
  /** Starts to read. Before that, what the near end sends stays wherever the transport keeps it. Called once at most. */
  read(message: (text: string) => void): void;
  /** Ends in good order, after all that it sent: closes its writing half where there are halves, else says goodbye. */
  finish(): void | Promise<void>;
  /** Is gone at once and without a word: a reset, a SIGKILL. */
  vanish(): void | Promise<void>;
}

export interface OpenedLine {
  /** The end under test; nobody listens to it yet. */
  readonly near: Connection;
  readonly far: FarEnd;
  /** Lets the time pass that the near end gives a peer that does not close. Not needed where that time is real and short. */
  readonly pass?: () => void;
  /** Ends what was opened besides the near end, and tells what of the line is left by then: sockets, timers, children. */
  close(): Promise<readonly string[]>;
}

export interface ConnectionHarness {
  /** What the suite is called after. */
  readonly name: string;
  /** `deaf`: the far end never closes by itself, whatever it is told. */
  open(options: { readonly deaf: boolean }): Promise<OpenedLine>;
  /** The code that `closed` is told when the far end finished; `undefined` is good order. */
  readonly finished: string | undefined;
  /** The same when it vanished. */
  readonly vanished: string | undefined;
  /** Whether a far end that has finished still gets what is sent. */
  readonly halfOpen?: boolean;
  /** The largest message taken, and the code the line ends with over a larger one; `skipped`: only that message is lost. */
  readonly limit?: { readonly bytes: number; readonly beyond: string };
  /** How many messages each way prove the order. Default 10 000. */
  readonly messages?: number;
}

/** More than any transport may hold for a peer that does not read: its own queue, and the buffers of two kernels and a pipe. */
const HELD_LIMIT = 48 * 1024 * 1024;
const PIECE = 256 * 1024;
/** How many turns of the event loop a send may take that does not wait for its peer. */
const TURNS = 50;

/** What every duplex line must do, whatever carries it. Each line is ended by the suite, and must leave nothing behind. */
export function connectionCompliance(runner: SuiteRunner, harness: ConnectionHarness): void {
  const { describe, it, expect } = runner;

  const using =
    (use: (line: OpenedLine) => Promise<void>, deaf = false) =>
    async () => {
      const line = await harness.open({ deaf });
      try {
        await use(line);
      } finally {
        const ended = line.near[Symbol.asyncDispose]();
        line.pass?.();
        await ended;
        expect(await line.close()).toEqual([]);
      }
    };

  describe(`${harness.name} is a line`, () => {
    const count = harness.messages ?? 10_000;

    it(
      `that keeps ${count} messages in order, both ways at a time`,
      using(async ({ near, far }) => {
        const texts = Array.from({ length: count }, (_, id) => message(id));
        const [heard, farHeard] = [new Heard(), new Heard()];
        near.listen(heard);
        far.read(farHeard.message);
        await Promise.all([sendAll(near, texts), sendAll(far, texts)]);
        await Promise.all([heard.atLeast(count), farHeard.atLeast(count)]);
        expect(same(heard.texts, texts)).toBe(true);
        expect(same(farHeard.texts, texts)).toBe(true);
        expect(heard.endings.length).toBe(0);
      }),
    );

    it(
      'that many senders share without losing or doubling a message',
      using(async ({ near, far }) => {
        const heard = new Heard();
        near.listen(new Heard());
        far.read(heard.message);
        const sender = (name: number) =>
          sendAll(
            near,
            Array.from({ length: 20 }, (_, id) => message(name * 100 + id)),
          );
        await Promise.all(Array.from({ length: 50 }, (_, name) => sender(name)));
        await heard.atLeast(1000);
        const ids = heard.texts.map((text) => (JSON.parse(text) as { id: number }).id);
        expect(new Set(ids).size).toBe(1000);
        for (let name = 0; name < 50; name += 1) {
          const own = ids.filter((id) => Math.floor(id / 100) === name);
          expect(same(own.map(String), own.toSorted((a, b) => a - b).map(String))).toBe(true);
        }
      }),
    );

    it(
      'that carries any character and a message of a mebibyte, each way',
      using(async ({ near, far }) => {
        const texts = ['{"text":"é€😀\\u2028\\n\\u0000\u2028"}', JSON.stringify({ pad: 'ü'.repeat(512 * 1024 - 10) })];
        const [heard, farHeard] = [new Heard(), new Heard()];
        near.listen(heard);
        far.read(farHeard.message);
        if (harness.limit === undefined) await sendAll(far, texts);
        await sendAll(near, texts);
        await farHeard.atLeast(texts.length);
        expect(same(farHeard.texts, texts)).toBe(true);
        if (harness.limit === undefined) await heard.atLeast(texts.length);
        if (harness.limit === undefined) expect(same(heard.texts, texts)).toBe(true);
      }),
    );

    const { limit } = harness;
    if (limit !== undefined) {
      it(
        'that takes a message right below its limit, and says plainly what is wrong with one above it',
        using(async ({ near, far }) => {
          const heard = new Heard();
          near.listen(heard);
          far.read(() => {});
          const below = padded(limit.bytes - 1);
          await far.send(below);
          await heard.atLeast(1);
          expect(same(heard.texts, [below])).toBe(true);
          // The far end may lose its line while it sends.
          await far.send(padded(limit.bytes + 1)).catch(() => {});
          if (limit.beyond === 'skipped') {
            await far.send(message(2));
            await heard.atLeast(2);
            expect(heard.texts[1]).toBe(message(2));
            return;
          }
          await heard.over;
          expect(heard.endings.map((reason) => reason?.code)).toEqual([limit.beyond]);
          expect(/^[^\n]{20,300}$/.test(heard.endings[0]?.message ?? '')).toBe(true);
          expect(heard.texts.length).toBe(1);
        }),
      );
    }

    it(
      'that makes its sender wait for a far end that does not read, bounded, and lets it go on when that one reads',
      using(async ({ near, far }) => {
        near.listen(new Heard());
        const { sent, waiting } = await sendUntilHeld(near);
        expect(sent * PIECE < HELD_LIMIT).toBe(true);
        const heard = new Heard();
        far.read(heard.message);
        await waiting;
        await heard.atLeast(sent);
        expect(heard.texts.length).toBe(sent);
        expect(heard.texts.every((text) => text.length === PIECE)).toBe(true);
      }),
    );

    it(
      'that lets a waiting sender go when it is destroyed',
      using(async ({ near }) => {
        const heard = new Heard();
        near.listen(heard);
        const { waiting } = await sendUntilHeld(near);
        near.destroy(new ProxyError('draining', 'the test is over'));
        await waiting.catch(() => {});
        await heard.over;
        expect(heard.endings.map((reason) => reason?.code)).toEqual(['draining']);
      }, true),
    );

    it(
      'that lets a waiting sender go when the far end vanishes',
      using(async ({ near, far }) => {
        const heard = new Heard();
        near.listen(heard);
        const { waiting } = await sendUntilHeld(near);
        await far.vanish();
        await waiting.catch(() => {});
        await heard.over;
        expect(heard.endings.length).toBe(1);
      }),
    );

    it(
      'that keeps what comes before anybody listens',
      using(async ({ near, far }) => {
        await sendAll(far, [message(1), message(2), message(3)]);
        for (let turn = 0; turn < TURNS; turn += 1) await settled();
        const heard = new Heard();
        near.listen(heard);
        await heard.atLeast(3);
        expect(heard.texts).toEqual([message(1), message(2), message(3)]);
      }),
    );

    it(
      'that tells a late listener what came and that it is over',
      using(async ({ near, far }) => {
        await far.send(message(1));
        await far.finish();
        for (let turn = 0; turn < TURNS; turn += 1) await settled();
        const heard = new Heard();
        near.listen(heard);
        await heard.over;
        expect(heard.texts).toEqual([message(1)]);
        expect(heard.endings.map((reason) => reason?.code)).toEqual([harness.finished]);
      }),
    );

    it(
      'that says once that the far end finished, after its last message',
      using(async ({ near, far }) => {
        const [heard, farHeard] = [new Heard(), new Heard()];
        near.listen(heard);
        far.read(farHeard.message);
        await far.send(message(1));
        await heard.atLeast(1);
        await far.send(message(2));
        await far.finish();
        await heard.over;
        expect(heard.texts).toEqual([message(1), message(2)]);
        expect(heard.endings.map((reason) => reason?.code)).toEqual([harness.finished]);
        if (harness.halfOpen === true) {
          await near.send(message(3));
          await farHeard.atLeast(1);
          expect(farHeard.texts).toEqual([message(3)]);
        } else {
          expect(await isRefused(near)).toBe(true);
        }
      }),
    );

    it(
      'that says once, with a reason, that the far end vanished',
      using(async ({ near, far }) => {
        const heard = new Heard();
        near.listen(heard);
        far.read(() => {});
        await far.send(message(1));
        await heard.atLeast(1);
        await far.vanish();
        await heard.over;
        for (let turn = 0; turn < TURNS; turn += 1) await settled();
        expect(heard.endings.map((reason) => reason?.code)).toEqual([harness.vanished]);
      }),
    );

    it(
      'that is disposed in bounded time with a far end that never closes',
      using(async ({ near, far, pass }) => {
        const heard = new Heard();
        near.listen(heard);
        await far.send(message(1));
        await heard.atLeast(1);
        const disposed = near[Symbol.asyncDispose]();
        pass?.();
        await disposed;
        await heard.over;
        expect(heard.endings.length).toBe(1);
      }, true),
    );

    it(
      'that can be destroyed and disposed again and again: one end, one reason, and nothing is sent afterwards',
      using(async ({ near, far, pass }) => {
        const heard = new Heard();
        near.listen(heard);
        await far.send(message(1));
        await heard.atLeast(1);
        near.destroy(new ProxyError('draining', 'first'));
        near.destroy(new ProxyError('internal', 'second'));
        const disposed = [near[Symbol.asyncDispose](), near[Symbol.asyncDispose]()];
        pass?.();
        await Promise.all(disposed);
        near.destroy(new ProxyError('internal', 'third'));
        await heard.over;
        expect(heard.endings.map((reason) => reason?.message)).toEqual(['first']);
        expect(await isRefused(near)).toBe(true);
      }),
    );

    it(
      'that is disposed in good order: what was sent arrives, no reason is told, and nothing is sent afterwards',
      using(async ({ near, far, pass }) => {
        const [heard, farHeard] = [new Heard(), new Heard()];
        near.listen(heard);
        far.read(farHeard.message);
        await sendAll(near, [message(1), message(2)]);
        const disposed = near[Symbol.asyncDispose]();
        expect(await isRefused(near)).toBe(true);
        await farHeard.atLeast(2);
        pass?.();
        await disposed;
        await heard.over;
        expect(farHeard.texts).toEqual([message(1), message(2)]);
        expect(heard.endings).toEqual([undefined]);
      }),
    );

    it(
      'that nobody need ever listen to',
      using(async ({ near, far, pass }) => {
        await far.send(message(1));
        const disposed = near[Symbol.asyncDispose]();
        pass?.();
        await disposed;
        expect(await isRefused(near)).toBe(true);
      }),
    );
  });
}

/** A sink that keeps what it hears and lets a test wait for it. */
class Heard {
  readonly texts: string[] = [];
  readonly endings: (ProxyError | undefined)[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #waiting: { readonly count: number; readonly done: () => void }[] = [];

  /** Resolves when the line is over. */
  get over(): Promise<void> {
    return this.#ended.promise;
  }

  readonly message = (text: string): void => {
    this.texts.push(text);
    const ready = this.#waiting.filter(({ count }) => this.texts.length >= count);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiter) => !ready.includes(waiter));
    for (const { done } of ready) done();
  };

  closed(reason: ProxyError | undefined): void {
    this.endings.push(reason);
    this.#ended.resolve();
  }

  atLeast(count: number): Promise<void> {
    if (this.texts.length >= count) return Promise.resolve();
    return new Promise((done) => this.#waiting.push({ count, done }));
  }
}

function message(id: number): string {
  return `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
}

/** A message of exactly so many bytes. */
function padded(bytes: number): string {
  return `{"pad":"${'x'.repeat(bytes - 10)}"}`;
}

async function sendAll(end: Pick<Connection, 'send'>, texts: readonly string[]): Promise<void> {
  for (const text of texts) await end.send(text);
}

/** Arrays of 10 000 are compared here: a runner's difference of them is of no use to anybody. */
function same(found: readonly string[], expected: readonly string[]): boolean {
  return found.length === expected.length && found.every((text, index) => text === expected[index]);
}

/** Sends until one send stays pending, which is the last one counted. */
async function sendUntilHeld(line: Connection): Promise<{ sent: number; waiting: Promise<void> }> {
  const text = padded(PIECE);
  for (let sent = 1; ; sent += 1) {
    const waiting = line.send(text);
    if (sent * PIECE >= HELD_LIMIT || !(await settlesSoon(waiting))) return { sent, waiting };
  }
}

async function settlesSoon(promise: Promise<void>): Promise<boolean> {
  let done = false;
  const look = (): void => {
    done = true;
  };
  promise.then(look, look);
  for (let turn = 0; turn < TURNS && !done; turn += 1) await settled();
  return done;
}

/** Whether a line that is over refuses to send, in its own words or in those it was destroyed with. */
async function isRefused(line: Connection): Promise<boolean> {
  try {
    await line.send(message(99));
    return false;
  } catch (error) {
    return error instanceof ProxyError && error.message !== '';
  }
}
