import { dirname } from 'node:path';
import type { TapeUse } from './tape-use.js';

/** What is known of the place where a tape is asked for. */
export interface Call {
  /** The file that asks; `undefined` where the engine does not tell. */
  readonly file: string | undefined;
  /** The line in it. */
  readonly line: string | undefined;
  /** The test's own context, if it was given. */
  readonly test: ConcurrentTest | undefined;
}

/** Vitest's context of a test, as it is handed to the test's function. */
export interface ConcurrentTest {
  onTestFinished(run: (context: { readonly task: VitestTask }) => Promise<void>): void;
  readonly task: VitestTask;
}

export interface VitestTask {
  readonly id: string;
  readonly name: string;
  readonly concurrent?: boolean | undefined;
  readonly mode?: string | undefined;
  readonly result?: { readonly state?: string | undefined } | undefined;
  readonly tasks?: readonly VitestTask[] | undefined;
}

/** Where a tape was asked for. */
export interface Spot {
  /** The directory that relative paths begin at. */
  readonly directory: string;
  /** Who asks: a test, or a place in a file for all tests that share the tape. */
  readonly owner: string;
  /** Whether the owner can be run again, and then asks for the same tape again. */
  readonly repeats: boolean;
  /** Whether it may be awaited there. */
  readonly inTest: boolean;
  /** Has the tape opened and closed with the test, or with the tests that share it. */
  attach(use: TapeUse): void;
}

/** A test framework: its hooks, and what it tells of the running test. */
export interface Framework {
  spot(call: Call): Spot;
}

/** The framework that runs this file: Vitest in one of its workers, else Node's own. */
export async function runningFramework(): Promise<Framework> {
  if (inVitest()) return vitestFramework(await import('vitest'));
  return nodeFramework(await import('node:test'));
}

/** Whether Vitest runs this file. */
export function inVitest(): boolean {
  return '__vitest_worker__' in globalThis;
}

/** What is used of Vitest. */
interface Vitest {
  beforeAll(run: () => Promise<void>): void;
  beforeEach(run: (context: { readonly task: VitestTask }) => void): void;
  afterEach(run: (context: { readonly task: VitestTask }) => void): void;
  afterAll(run: (context: object, suite: VitestTask) => Promise<void>): void;
  readonly expect: { getState(): { readonly testPath?: string | undefined } };
  /** Not in old versions. */
  readonly TestRunner?: { getCurrentTest(): { readonly context: ConcurrentTest } | undefined };
}

export function vitestFramework(vitest: Vitest): Framework {
  const { TestRunner } = vitest;
  if (TestRunner === undefined) throw new Error('shadowcat/vitest needs Vitest 5 or newer');
  return {
    spot({ file, line, test }) {
      const path = vitest.expect.getState().testPath ?? file;
      const context = test ?? TestRunner.getCurrentTest()?.context;
      if (context !== undefined && test === undefined && context.task.concurrent === true) {
        throw new Error(
          'useTape in a concurrent test has to know whose it is: test.concurrent(name, async (test) => {\n' +
            "  const tape = await useTape('x.tape.jsonl', { test });",
        );
      }
      const directory = path === undefined ? process.cwd() : dirname(path);
      if (context === undefined) {
        return {
          directory,
          owner: `the tests at ${path}:${line}`,
          repeats: false,
          inTest: false,
          attach: (use) => attachScope(vitest, use),
        };
      }
      const owner = `the test "${context.task.name}" (${context.task.id})`;
      const attach = (use: TapeUse): void =>
        context.onTestFinished(({ task }) => use.close({ complete: task.result?.state === 'pass' }));
      return { directory, owner, repeats: true, inTest: true, attach };
    },
  };
}

function attachScope(vitest: Vitest, use: TapeUse): void {
  vitest.beforeAll(async () => {
    await use.open();
  });
  vitest.beforeEach(({ task }) => use.began(task.name));
  vitest.afterEach(({ task }) => use.ended(task.name));
  // biome-ignore lint/correctness/noEmptyPattern: Vitest reads the text of the function and wants a pattern here
  vitest.afterAll(({}, suite) => use.close({ complete: allPassed(suite) }));
}

function allPassed(task: VitestTask): boolean {
  return task.tasks === undefined ? task.result?.state === 'pass' : task.tasks.every(allPassed);
}

/** What is used of `node:test`. Its hooks belong to the test or suite whose code registers them, also when tests run at once. */
interface NodeTest {
  before(run: () => Promise<void>): void;
  beforeEach(run: (context: NodeContext) => void): void;
  afterEach(run: (context: NodeContext) => void): void;
  after(run: (context: NodeContext) => Promise<void>): void;
}

interface NodeContext {
  readonly name?: string;
  readonly fullName?: string;
  readonly passed?: boolean;
  readonly after?: unknown;
}

/** With these not all tests of a file run, and what they leave unused is nobody's fault. */
const SELECTING = /^--test-(name-pattern|skip-pattern|only)\b/;

export function nodeFramework(node: NodeTest): Framework {
  return {
    spot({ file, line }) {
      const attach = (use: TapeUse): void => {
        let failed = process.execArgv.some((word) => SELECTING.test(word));
        node.before(async () => {
          await use.open();
        });
        node.beforeEach(({ fullName, name }) => use.began(fullName ?? name ?? ''));
        node.afterEach(({ fullName, name, passed }) => {
          failed ||= passed === false;
          use.ended(fullName ?? name ?? '');
        });
        node.after((context) => {
          // A suite does not know yet; what is a test's own context has `after`.
          failed ||= 'after' in context && context.passed === false;
          return use.close({ complete: !failed });
        });
      };
      const directory = file === undefined ? process.cwd() : dirname(file);
      return { directory, owner: `the tests at ${file}:${line}`, repeats: false, inTest: true, attach };
    },
  };
}
