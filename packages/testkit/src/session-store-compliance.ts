/** The parts of `SessionRecord` of `@shadowcat/session`, as any store must keep them. */
interface StoredSession {
  readonly id: string;
  readonly credential: string;
  readonly createdAt: number;
  readonly touchedAt: number;
  readonly initializeText: string;
  readonly subscriptions: readonly string[];
}

/** The port `SessionStore` of `@shadowcat/session`, by shape: testkit knows no package above wire. */
export interface SessionStoreLike {
  load(id: string): Promise<StoredSession | undefined>;
  put(record: StoredSession): void;
  touch(id: string, at: number): void;
  remove(id: string): void;
  prune(limits: { readonly before: number; readonly keep: number }): Promise<readonly StoredSession[]>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** The three functions of the test runner that the suite uses; vitest's fit. */
export interface SuiteRunner {
  readonly describe: (name: string, body: () => void) => void;
  readonly it: (name: string, body: () => Promise<void>) => void;
  readonly expect: (value: unknown) => { toBe(expected: unknown): void; toEqual(expected: unknown): void };
}

export interface SessionStoreHarness {
  /** What the suite is called after. */
  readonly name: string;
  /** Opens an empty store. */
  open(): Promise<SessionStoreLike>;
  /** For stores that outlive their process: opens what the last `open` or `reopen` opened once more, after it was closed. */
  reopen?(): Promise<SessionStoreLike>;
}

const idsOf = (sessions: readonly StoredSession[]): string[] => sessions.map(({ id }) => id);

const MINIMAL: StoredSession = {
  id: 'a',
  credential: '',
  createdAt: 1_000,
  touchedAt: 2_000,
  initializeText: '{"jsonrpc":"2.0","id":1,"method":"initialize"}',
  subscriptions: [],
};

const FULL = {
  ...MINIMAL,
  id: 'b',
  credential: 'c0ffee',
  initializeText: '{"id":9007199254740993, "x":1.0, "name":"naïve \\"猫\\" 😀"}',
  initializeResult: {
    protocolVersion: '2025-11-25',
    instructions: 'it\'s "fine"\n; drop table session; --',
    list: [null, 1.5],
  },
  protocolVersion: '2025-11-25',
  upstream: { target: 'http://127.0.0.1:3000/mcp', sessionId: 'their-own' },
  logLevel: 'warning',
  subscriptions: ['file:///a b', 'test://ü'],
};

/** What every session store must do. Each store is closed by the suite. */
export function sessionStoreCompliance(runner: SuiteRunner, harness: SessionStoreHarness): void {
  const { describe, it, expect } = runner;

  const using = (use: (store: SessionStoreLike) => Promise<void>) => async () => {
    const store = await harness.open();
    try {
      await use(store);
    } finally {
      await store.close();
    }
  };
  const used = (id: string, touchedAt: number): StoredSession => ({ ...MINIMAL, id, touchedAt });

  describe(`${harness.name} keeps sessions`, () => {
    it(
      'knows nothing at first',
      using(async (store) => {
        expect(await store.load('a')).toBe(undefined);
      }),
    );

    for (const [moment, flushed] of [
      ['before', false],
      ['after', true],
    ] as const) {
      it(
        `gives back what was put, ${moment} it is written`,
        using(async (store) => {
          store.put(MINIMAL);
          store.put(FULL);
          if (flushed) await store.flush();
          expect(await store.load('a')).toEqual(MINIMAL);
          expect(await store.load('b')).toEqual(FULL);
        }),
      );

      it(
        `replaces, touches and removes ${moment} it is written`,
        using(async (store) => {
          for (const id of ['a', 'b', 'c']) store.put(used(id, 1));
          if (flushed) await store.flush();
          store.put({ ...FULL, id: 'a' });
          store.touch('b', 77);
          store.remove('c');
          expect(await store.load('a')).toEqual({ ...FULL, id: 'a' });
          expect(await store.load('b')).toEqual(used('b', 77));
          expect(await store.load('c')).toBe(undefined);
          await store.flush();
          expect(await store.load('a')).toEqual({ ...FULL, id: 'a' });
          expect(await store.load('b')).toEqual(used('b', 77));
          expect(await store.load('c')).toBe(undefined);
        }),
      );
    }

    it(
      'forgets optional parts that a later put leaves out',
      using(async (store) => {
        store.put(FULL);
        await store.flush();
        store.put({ ...MINIMAL, id: 'b' });
        await store.flush();
        expect(await store.load('b')).toEqual({ ...MINIMAL, id: 'b' });
      }),
    );

    it(
      'makes nothing out of a touch of an id that it does not have',
      using(async (store) => {
        store.touch('a', 5);
        await store.flush();
        expect(await store.load('a')).toBe(undefined);
        store.put(MINIMAL);
        store.remove('a');
        store.touch('a', 6);
        await store.flush();
        expect(await store.load('a')).toBe(undefined);
      }),
    );

    it(
      'takes an id again that was removed',
      using(async (store) => {
        store.put(MINIMAL);
        await store.flush();
        store.remove('a');
        store.put({ ...MINIMAL, credential: 'new' });
        await store.flush();
        expect(await store.load('a')).toEqual({ ...MINIMAL, credential: 'new' });
      }),
    );

    it(
      'keeps several hundred at once',
      using(async (store) => {
        for (let i = 0; i < 500; i += 1) store.put(used(`s${i}`, i));
        await store.flush();
        for (let i = 0; i < 500; i += 1) store.touch(`s${i}`, i + 1000);
        await store.flush();
        expect((await store.load('s0'))?.touchedAt).toBe(1000);
        expect((await store.load('s499'))?.touchedAt).toBe(1499);
      }),
    );
  });

  describe(`${harness.name} prunes`, () => {
    it(
      'those used before a moment, and says which',
      using(async (store) => {
        for (const [id, at] of [
          ['a', 10],
          ['b', 20],
          ['c', 30],
        ] as const)
          store.put(used(id, at));
        await store.flush();
        store.touch('a', 25);
        expect(idsOf(await store.prune({ before: 25, keep: 10 }))).toEqual(['b']);
        expect(await store.load('b')).toBe(undefined);
        expect((await store.load('a'))?.touchedAt).toBe(25);
        expect(idsOf(await store.prune({ before: 25, keep: 10 }))).toEqual([]);
      }),
    );

    it(
      'the longest unused beyond a number',
      using(async (store) => {
        for (const [id, at] of [
          ['a', 30],
          ['b', 10],
          ['c', 20],
        ] as const)
          store.put(used(id, at));
        expect(idsOf(await store.prune({ before: 0, keep: 2 }))).toEqual(['b']);
        expect(idsOf(await store.prune({ before: 0, keep: 0 })).sort()).toEqual(['a', 'c']);
        expect(await store.load('a')).toBe(undefined);
      }),
    );
  });

  describe(`${harness.name} ends`, () => {
    it('once, however often it is asked', async () => {
      const store = await harness.open();
      const first = store.close();
      expect(store.close()).toBe(first);
      await first;
    });

    it(
      'with nothing to flush',
      using((store) => store.flush()),
    );

    const { reopen } = harness;
    if (reopen === undefined) return;

    it('with everything written', async () => {
      const store = await harness.open();
      store.put(MINIMAL);
      store.put(FULL);
      store.put(used('gone', 5));
      await store.flush();
      store.touch('a', 9_999);
      store.remove('gone');
      await store.close();
      const again = await reopen();
      try {
        expect(await again.load('a')).toEqual({ ...MINIMAL, touchedAt: 9_999 });
        expect(await again.load('b')).toEqual(FULL);
        expect(await again.load('gone')).toBe(undefined);
      } finally {
        await again.close();
      }
    });
  });
}
