import { describe, expect, it } from 'vitest';
import { ManualClock, settled } from '../src/manual-clock.js';

describe('a manual clock', () => {
  it('stands still until it is turned', () => {
    const clock = new ManualClock({ now: 5, wall: 1_000 });
    expect([clock.now(), clock.wall()]).toEqual([5, 1_000]);
    clock.advance(2.5);
    expect([clock.now(), clock.wall()]).toEqual([7.5, 1_002.5]);
  });

  it('fires timers in the order they are due, at their time', () => {
    const clock = new ManualClock();
    const fired: [string, number][] = [];
    const set = (name: string, ms: number) => clock.timer(ms, () => fired.push([name, clock.now()]));
    set('late', 30);
    set('early', 10);
    set('same, second', 20);
    set('same, third', 20);
    set('at once', 0);
    set('never', 31);
    clock.advance(30);
    expect(fired).toEqual([
      ['at once', 0],
      ['early', 10],
      ['same, second', 20],
      ['same, third', 20],
      ['late', 30],
    ]);
    expect(clock.pending).toBe(1);
  });

  it('fires timers that timers set on the way', () => {
    const clock = new ManualClock();
    const times: number[] = [];
    const again = () => {
      times.push(clock.now());
      clock.timer(10, again);
    };
    clock.timer(10, again);
    clock.advance(35);
    expect(times).toEqual([10, 20, 30]);
    expect(clock.now()).toBe(35);
  });

  it('forgets a timer that is cancelled, also by another timer', () => {
    const clock = new ManualClock();
    let fired = 0;
    const count = () => {
      fired += 1;
    };
    const first = clock.timer(5, count);
    const second = clock.timer(20, count);
    clock.timer(10, () => second.cancel());
    first.cancel();
    first.cancel();
    clock.advance(100);
    expect(fired).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('lets promises run between timers when it passes time', async () => {
    const clock = new ManualClock();
    const times: number[] = [];
    const task = (async () => {
      for (let count = 0; count < 3; count += 1) {
        await new Promise<void>((resolve) => clock.timer(10, resolve));
        times.push(clock.now());
      }
    })();
    await clock.pass(30);
    await task;
    expect(times).toEqual([10, 20, 30]);
  });

  it('has a wall clock that can jump', () => {
    const clock = new ManualClock({ wall: 100 });
    clock.advance(10);
    clock.setWall(0);
    expect([clock.now(), clock.wall()]).toEqual([10, 0]);
    clock.advance(1);
    expect(clock.wall()).toBe(1);
  });

  it('settled waits for promise jobs', async () => {
    let done = false;
    void Promise.resolve()
      .then(() => {})
      .then(() => {
        done = true;
      });
    await settled();
    expect(done).toBe(true);
  });
});
