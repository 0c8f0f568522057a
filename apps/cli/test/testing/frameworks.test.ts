import { describe, expect, it } from 'vitest';
import {
  type ConcurrentTest,
  nodeFramework,
  type Spot,
  type VitestTask,
  vitestFramework,
} from '../../src/testing/frameworks.js';
import type { TapeUse } from '../../src/testing/tape-use.js';

/** Notes what a framework does with a tape. */
function notingUse(): { readonly use: TapeUse; readonly notes: string[] } {
  const notes: string[] = [];
  const use = {
    open: async () => void notes.push('open'),
    began: (test: string) => void notes.push(`began ${test}`),
    ended: (test: string) => void notes.push(`ended ${test}`),
    close: async ({ complete }: { complete: boolean }) => void notes.push(complete ? 'close, complete' : 'close'),
  };
  return { use: use as unknown as TapeUse, notes };
}

type Hook = (...parts: never[]) => unknown;

/** Keeps hooks for being run by hand. */
function keptHooks<N extends string>(
  ...names: readonly N[]
): {
  readonly hooks: Record<N, (run: Hook) => void>;
  readonly run: (name: N, ...parts: unknown[]) => Promise<void>;
} {
  const kept = new Map<string, Hook[]>();
  const hooks = Object.fromEntries(
    names.map((name) => [name, (run: Hook) => void kept.set(name, [...(kept.get(name) ?? []), run])]),
  ) as Record<N, (run: Hook) => void>;
  const run = async (name: N, ...parts: unknown[]): Promise<void> => {
    for (const hook of kept.get(name) ?? []) await hook(...(parts as never[]));
  };
  return { hooks, run };
}

function fakeVitest(current?: ConcurrentTest): {
  readonly spot: (test?: ConcurrentTest) => Spot;
  readonly run: (name: 'beforeAll' | 'beforeEach' | 'afterEach' | 'afterAll', ...parts: unknown[]) => Promise<void>;
} {
  const { hooks, run } = keptHooks('beforeAll', 'beforeEach', 'afterEach', 'afterAll');
  const framework = vitestFramework({
    ...hooks,
    expect: { getState: () => ({ testPath: '/project/test/x.test.ts' }) },
    TestRunner: { getCurrentTest: () => current && { context: current } },
  });
  return { spot: (test) => framework.spot({ file: '/elsewhere/helper.ts', line: '7', test }), run };
}

interface FakeTest {
  readonly test: ConcurrentTest;
  finish(state: string): Promise<void>;
}

function fakeTest(task: Partial<VitestTask> = {}): FakeTest {
  const finishers: ((context: { readonly task: VitestTask }) => Promise<void>)[] = [];
  const whole = { id: '1', name: 'adds', ...task };
  return {
    test: { task: whole, onTestFinished: (run) => void finishers.push(run) },
    finish: async (state) => {
      for (const run of finishers) await run({ task: { ...whole, result: { state } } });
    },
  };
}

describe('Vitest', () => {
  it('gives a tape to the test that runs, and to the directory of the test file', async () => {
    const { test, finish } = fakeTest();
    const { use, notes } = notingUse();
    const spot = fakeVitest(test).spot();
    expect(spot).toMatchObject({
      directory: '/project/test',
      inTest: true,
      owner: 'the test "adds" (1)',
      repeats: true,
    });
    spot.attach(use);
    await finish('pass');
    expect(notes).toEqual(['close, complete']);
  });

  it('knows that the test failed', async () => {
    const { test, finish } = fakeTest();
    const { use, notes } = notingUse();
    fakeVitest(test).spot().attach(use);
    await finish('fail');
    expect(notes).toEqual(['close']);
  });

  it('is told when it is too old to say which test runs', () => {
    const { hooks } = keptHooks('beforeAll', 'beforeEach', 'afterEach', 'afterAll');
    const old = { ...hooks, expect: { getState: () => ({}) } };
    expect(() => vitestFramework(old)).toThrow('shadowcat/vitest needs Vitest 5 or newer');
  });

  it('asks a concurrent test who it is', () => {
    const { test } = fakeTest({ concurrent: true });
    const vitest = fakeVitest(test);
    expect(() => vitest.spot()).toThrow('useTape in a concurrent test has to know whose it is');
    expect(vitest.spot(fakeTest({ concurrent: true, name: 'other' }).test).owner).toBe('the test "other" (1)');
  });

  it('gives a tape to a file or describe, whose tests are told apart', async () => {
    const vitest = fakeVitest();
    const { use, notes } = notingUse();
    const spot = vitest.spot();
    expect(spot).toMatchObject({ inTest: false, owner: 'the tests at /project/test/x.test.ts:7', repeats: false });
    spot.attach(use);
    const task = { id: '1', name: 'adds' };
    await vitest.run('beforeAll');
    await vitest.run('beforeEach', { task });
    await vitest.run('afterEach', { task });
    await vitest.run('afterAll', {}, { id: 's', name: 'suite', tasks: [{ ...task, result: { state: 'pass' } }] });
    expect(notes).toEqual(['open', 'began adds', 'ended adds', 'close, complete']);
  });

  it.for([
    ['a test that failed', { id: '2', name: 'b', result: { state: 'fail' } }],
    ['a test that was skipped', { id: '2', name: 'b', mode: 'skip' }],
    ['a describe with one', { id: '2', name: 'b', tasks: [{ id: '3', name: 'c', mode: 'skip' }] }],
  ] as const)('does not take a file for complete with %s', async ([, task]) => {
    const vitest = fakeVitest();
    const { use, notes } = notingUse();
    vitest.spot().attach(use);
    const passed = { id: '1', name: 'a', result: { state: 'pass' } };
    await vitest.run('afterAll', {}, { id: 's', name: 'suite', tasks: [passed, task] });
    expect(notes).toEqual(['close']);
  });
});

describe('node:test', () => {
  const fakeNode = () => {
    const { hooks, run } = keptHooks('before', 'beforeEach', 'afterEach', 'after');
    return {
      spot: () => nodeFramework(hooks).spot({ file: '/project/test/x.test.ts', line: '7', test: undefined }),
      run,
    };
  };

  it('opens and closes a tape with the test or suite that asks for it', async () => {
    const { spot, run } = fakeNode();
    const { use, notes } = notingUse();
    const { attach, ...place } = spot();
    expect(place).toMatchObject({ directory: '/project/test', inTest: true, repeats: false });
    attach(use);
    await run('before');
    await run('beforeEach', { name: 'adds', fullName: 'suite > adds' });
    await run('afterEach', { name: 'adds', fullName: 'suite > adds' });
    // Of a suite, which does not know yet.
    await run('after', { passed: false });
    expect(notes).toEqual(['open', 'began suite > adds', 'ended suite > adds', 'close, complete']);
  });

  it('knows that the test failed, or one of a suite', async () => {
    const { use, notes } = notingUse();
    const own = fakeNode();
    own.spot().attach(use);
    await own.run('after', { passed: false, after: () => {} });
    const suite = fakeNode();
    suite.spot().attach(use);
    await suite.run('afterEach', { name: 'adds', passed: false });
    await suite.run('afterEach', { name: 'subtracts', passed: true });
    await suite.run('after', {});
    expect(notes).toEqual(['close', 'ended adds', 'ended subtracts', 'close']);
  });

  it('knows that only some tests run', async () => {
    const { use, notes } = notingUse();
    process.execArgv.push('--test-name-pattern=adds');
    try {
      const { spot, run } = fakeNode();
      spot().attach(use);
      await run('after', { passed: true });
    } finally {
      process.execArgv.pop();
    }
    expect(notes).toEqual(['close']);
  });
});
