import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { ProxyError } from '@shadowcat/kernel';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOffload, task } from '../src/index.js';

const module = new URL('./support/tasks.mjs', import.meta.url);

const running = new Set<Worker>();
const watch = (worker: Worker): void => {
  running.add(worker);
  worker.once('exit', () => running.delete(worker));
};
beforeAll(() => void process.on('worker', watch));
afterAll(() => void process.off('worker', watch));

describe('offload', () => {
  it('runs a task on a worker and leaves no worker when it is closed', async () => {
    const offload = createOffload({ module });
    expect(await offload.run('double', 21)).toBe(42);
    expect(running.size).toBe(1);
    await offload.close();
    await offload.close();
    expect(running.size).toBe(0);
  });

  it('starts nothing before the first task', async () => {
    await using _offload = createOffload({ module });
    expect(running.size).toBe(0);
  });

  it('rejects with the error of the task, its code and data kept', async () => {
    await using offload = createOffload({ module });
    const error = await offload.run('refuse', null).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ProxyError);
    expect(error).toMatchObject({ code: 'tape_invalid', message: 'x:1: no', data: { line: 1 } });
  });

  it('rejects with internal when a task throws something of its own', async () => {
    await using offload = createOffload({ module });
    await expect(offload.run('crash', null)).rejects.toMatchObject({ code: 'internal', message: 'boom' });
  });

  it('ends the worker of a task whose signal fires', async () => {
    await using offload = createOffload({ module });
    const controller = new AbortController();
    const hanging = offload.run('hang', null, { signal: controller.signal });
    controller.abort();
    await expect(hanging).rejects.toMatchObject({ code: 'cancelled' });
    expect(await offload.run('double', 1)).toBe(2);
  });

  it('rejects what waits for a worker whose module cannot be loaded, and tries again with the next task', async () => {
    for (const name of ['missing.mjs', 'broken.mjs']) {
      await using offload = createOffload({ module: new URL(`./support/${name}`, import.meta.url) });
      for (const [first, second] of [
        ['double', 'refuse'],
        ['double', 'double'],
      ] as const) {
        const failed = { code: 'internal', message: expect.stringContaining(`${name} cannot be run on a worker`) };
        const both = [offload.run(first, 1), offload.run(second, 2)];
        for (const run of both) await expect(run).rejects.toMatchObject(failed);
      }
    }
    // A worker that threw ends by itself.
    await Promise.all([...running].map((worker) => once(worker, 'exit')));
  });

  it('rejects what is under way when it is closed, and what comes later', async () => {
    const offload = createOffload({ module });
    const hanging = expect(offload.run('hang', null)).rejects.toMatchObject({ code: 'draining' });
    await offload.close();
    await hanging;
    await expect(offload.run('double', 1)).rejects.toMatchObject({ code: 'draining' });
  });
});

describe('task', () => {
  it('turns what a function gives or throws into something that can be cloned', async () => {
    expect(await task((input: number) => input + 1)(1)).toEqual({ ok: true, value: 2 });
    const failing = task(() => {
      throw new ProxyError('tape_invalid', 'broken', { data: { line: 3 } });
    });
    expect(await failing(undefined)).toEqual({ ok: false, code: 'tape_invalid', message: 'broken', data: { line: 3 } });
  });
});
