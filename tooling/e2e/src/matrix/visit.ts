import { isDeepStrictEqual } from 'node:util';
import type { Json } from '../json.js';
import type { TestClient } from '../test-client.js';

/** What a client does at a server, in this order; `ask` is a tool that has a question for the client before it answers. */
export const STEPS = ['connect', 'list', 'calls', 'error', 'prompt', 'resource', 'progress', 'ask', 'end'] as const;
export type Step = (typeof STEPS)[number];

interface Call {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** What the answer has to say somewhere. */
  readonly says: RegExp;
}

/** What a client asks one server, and what the server has to answer. A step that is missing is one the server does not have. */
export interface Visit {
  /** A tool that must be in the list. */
  readonly lists: string;
  /** Two calls, made at the same time where the client can. */
  readonly calls: readonly [Call, Call];
  /** A call that fails in the server. */
  readonly error: Call;
  readonly prompt?: { readonly name: string; readonly args?: Readonly<Record<string, string>>; readonly says: RegExp };
  readonly resource?: { readonly uri: string; readonly says: RegExp };
  /** A call that tells its progress before it answers: 1, 2, 3 and so on, up to `steps`. */
  readonly progress?: Call & { readonly steps: number };
  readonly ask?: Call;
}

/** The part of a client that a visit needs. */
export interface Visitor
  extends Pick<TestClient, 'listTools' | 'callTool'>,
    Partial<Pick<TestClient, 'getPrompt' | 'readResource'>>,
    AsyncDisposable {
  /** One call instead of two, since each request costs a process. */
  readonly brief?: boolean;
  /** Steps that the program has no way to do, or that are left out for their cost. */
  readonly lacks?: readonly Step[];
  /** Everything that the server has sent so far, oldest first; a client that cannot tell lacks `progress`. */
  readonly received?: readonly Json[];
}

/** The steps that did not work, with what went wrong. Empty: everything works. */
export type Failures = Readonly<Partial<Record<Step, string>>>;

/** Makes a visit from connecting to the end. A step that fails does not keep the others from being tried, except `connect`. */
export async function visit(connect: () => Promise<Visitor>, plan: Visit): Promise<Failures> {
  const failures: Partial<Record<Step, string>> = {};
  const attempt = async (step: Step, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failures[step] = error instanceof Error ? error.message : String(error);
    }
  };
  let visitor: Visitor | undefined;
  await attempt('connect', async () => {
    visitor = await connect();
  });
  if (visitor === undefined) return failures;
  const here = visitor;
  for (const [step, work] of stepsOf(here, plan)) {
    if (here.lacks?.includes(step) !== true) await attempt(step, work);
  }
  await attempt('end', async () => here[Symbol.asyncDispose]());
  return failures;
}

function stepsOf(visitor: Visitor, plan: Visit): [Step, () => Promise<void>][] {
  const { prompt, resource, progress, ask } = plan;
  const calls = visitor.brief === true ? plan.calls.slice(0, 1) : plan.calls;
  const steps: [Step, () => Promise<void>][] = [
    ['list', async () => says(await visitor.listTools(), new RegExp(`"name":"${plan.lists}"`))],
    ['calls', async () => void (await Promise.all(calls.map((call) => succeeds(visitor, call))))],
    ['error', () => fails(visitor, plan.error)],
  ];
  if (prompt)
    steps.push([
      'prompt',
      async () => says((await visitor.getPrompt?.(prompt.name, prompt.args)) ?? null, prompt.says),
    ]);
  if (resource)
    steps.push(['resource', async () => says((await visitor.readResource?.(resource.uri)) ?? null, resource.says)]);
  if (progress) steps.push(['progress', () => progresses(visitor, progress)]);
  if (ask) steps.push(['ask', () => succeeds(visitor, ask)]);
  return steps;
}

async function succeeds(visitor: Visitor, call: Call): Promise<void> {
  const answer = await visitor.callTool(call.name, call.args);
  if (isToolError(answer)) throw new Error(`the tool failed: ${JSON.stringify(answer)}`);
  says(answer, call.says);
}

/** A tool's failure comes as a result that says so or as a JSON-RPC error; each server has its own way. */
async function fails(visitor: Visitor, call: Call): Promise<void> {
  const outcome = await visitor.callTool(call.name, call.args).then(
    (answer) => (isToolError(answer) ? JSON.stringify(answer) : undefined),
    (error: unknown) => String(error),
  );
  if (outcome === undefined) throw new Error('the call should have failed');
  if (!call.says.test(outcome)) throw new Error(`failed in another way: ${outcome}`);
}

/** What arrives counts, not what the SDK hands on: SDK v1 drops progress that it reads together with the answer. */
async function progresses(visitor: Visitor, call: NonNullable<Visit['progress']>): Promise<void> {
  const { received = [] } = visitor;
  const before = received.length;
  says(await visitor.callTool(call.name, call.args, { onProgress: () => {} }), call.says);
  const heard = received.slice(before).flatMap(progressIn);
  const wanted = Array.from({ length: call.steps }, (_, i) => i + 1);
  if (!isDeepStrictEqual(heard, wanted)) throw new Error(`heard ${JSON.stringify(heard)} of ${call.steps} steps`);
}

function progressIn(message: Json): Json[] {
  const { method, params } = message as { method?: string; params?: { progress: Json } };
  return method === 'notifications/progress' && params !== undefined ? [params.progress] : [];
}

function says(answer: Json, pattern: RegExp): void {
  const text = JSON.stringify(answer);
  if (!pattern.test(text)) throw new Error(`expected ${pattern} in ${text.slice(0, 300)}`);
}

function isToolError(answer: Json): boolean {
  return answer !== null && typeof answer === 'object' && !Array.isArray(answer) && answer['isError'] === true;
}
