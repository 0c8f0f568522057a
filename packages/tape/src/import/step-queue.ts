/** Something that happens at a time. */
export interface Step {
  readonly at: number;
  run(): void;
}

interface Entry {
  readonly step: Step;
  readonly order: number;
}

/** Steps by time; of one time, in the order in which they were added (a binary heap). */
export class StepQueue {
  readonly #heap: Entry[] = [];
  #added = 0;

  add(step: Step): void {
    const heap = this.#heap;
    const entry = { step, order: this.#added };
    this.#added += 1;
    let at = heap.push(entry) - 1;
    for (let up = (at - 1) >> 1; at > 0 && before(entry, heap[up]); up = (at - 1) >> 1) {
      const parent = heap[up];
      if (parent !== undefined) heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  /** The first step, when it is due by `time`; it is in the queue no longer. */
  take(time: number): Step | undefined {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.step.at > time) return undefined;
    const last = heap.pop();
    if (last !== undefined && heap.length > 0) this.#sink(last);
    return first.step;
  }

  #sink(entry: Entry): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const down = before(heap[left + 1], heap[left]) ? left + 1 : left;
      const child = heap[down];
      if (child === undefined || !before(child, entry)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = entry;
  }
}

function before(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  return a.step.at < b.step.at || (a.step.at === b.step.at && a.order < b.order);
}
