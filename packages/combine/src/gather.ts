import type { Clock } from '@shadowcat/kernel';

/** Something that was asked for, and how long it is waited for, in milliseconds. */
export interface Waited<T> {
  /** Never rejects. */
  readonly answer: Promise<T>;
  readonly patienceMs: number;
  /** Called once when that is over before the answer is there. */
  readonly overdue?: () => void;
}

/**
 * The answers that are there when everybody has answered or was waited for long enough; `undefined` for who was not in time.
 * While there is nothing to show, because nobody has given an answer that is `enough`, waiting goes on: to show nothing is worse
 * than to be late. `good`: there is something to show in any case.
 */
export function gather<T>(
  all: readonly Waited<T>[],
  { enough, good: shown = false }: { readonly enough: (answer: T) => boolean; readonly good?: boolean },
  clock: Clock,
): Promise<readonly (T | undefined)[]> {
  const { promise, resolve } = Promise.withResolvers<readonly (T | undefined)[]>();
  const answers = new Array<T | undefined>(all.length).fill(undefined);
  const answered = new Array<boolean>(all.length).fill(false);
  const late = new Array<boolean>(all.length).fill(false);
  let good = shown;
  let over = false;
  const look = (): void => {
    if (over || !all.every((_, at) => answered[at] || (good && late[at]))) return;
    over = true;
    for (const timer of timers) timer.cancel();
    resolve(answers);
  };
  const timers = all.map(({ patienceMs, overdue }, at) =>
    clock.timer(patienceMs, () => {
      if (answered[at]) return;
      late[at] = true;
      overdue?.();
      look();
    }),
  );
  for (const [at, { answer }] of all.entries()) {
    void answer.then((value) => {
      if (over) return;
      answered[at] = true;
      answers[at] = value;
      timers[at]?.cancel();
      good ||= enough(value);
      look();
    });
  }
  if (all.length === 0) look();
  return promise;
}
