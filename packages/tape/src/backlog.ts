/** More than so many characters do not wait for the end of the turn. */
const MAX_WAITING = 65_536;
const MAX_JOBS = 512;

/**
 * Work that is done at the end of the present turn of the event loop, all of it in one go and in order: what costs little when it
 * is repeated costs several times as much in between of other things. Bounded: what is too much for waiting is done at once.
 */
export class Backlog {
  readonly #defer: ((work: () => void) => void) | undefined;
  #jobs: (() => void)[] = [];
  #size = 0;
  #scheduled = false;
  #running = false;

  /** Without `defer` everything is done at once. */
  constructor(defer: ((work: () => void) => void) | undefined) {
    this.#defer = defer;
  }

  /** Jobs that wait. */
  get length(): number {
    return this.#jobs.length;
  }

  /** `job` must not throw; `size` is about how many characters it will make. */
  add(job: () => void, size: number): void {
    const defer = this.#defer;
    if (defer === undefined) {
      job();
      return;
    }
    this.#jobs.push(job);
    this.#size += size;
    if (this.#size > MAX_WAITING || this.#jobs.length > MAX_JOBS) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      defer(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
  }

  /** Does what waits, before something that has to come after it. */
  flush(): void {
    if (this.#running || this.#jobs.length === 0) return;
    this.#running = true;
    // What a job adds belongs behind the others.
    for (let at = 0; at < this.#jobs.length; at += 1) this.#jobs[at]?.();
    this.#jobs = [];
    this.#size = 0;
    this.#running = false;
  }
}
