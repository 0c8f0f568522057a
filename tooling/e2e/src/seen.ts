import type { Step, Transcript } from './transcript.js';

/** What two clients of different eras have to see alike. */
export interface Seen {
  readonly steps: readonly unknown[];
  readonly asked: readonly string[];
}

/**
 * What is to be compared: not what only one era has (cache hints; how tools do as tasks), nor the progress that the client
 * itself adds for each question. A server that asks outside of its calls is answered with one of them, so when it asked counts
 * for the whole tour only.
 */
export function seen(steps: Transcript): Seen {
  const asked = steps.flatMap((step) => (step.asked ?? []).map(({ method }) => method)).sort();
  const plain = steps.map(({ asked: _asked, progress, answer, error, ...step }: Step) => ({
    ...step,
    answer: withoutEra(answer),
    error: errorIn(error),
    progress: progress?.filter((note) => !JSON.stringify(note).includes('Fulfilling input required')),
  }));
  return { steps: plain, asked };
}

/** "Method not found" is HTTP 404 in the modern era, whose body the client puts into its own error. */
function errorIn(error: Step['error']): unknown {
  const body = error === undefined ? undefined : /^Error POSTing to endpoint: (\{.*\})$/.exec(error.message)?.[1];
  return body === undefined ? error : (JSON.parse(body) as { error: unknown }).error;
}

const OF_ONE_ERA: ReadonlySet<string> = new Set(['ttlMs', 'cacheScope', 'execution']);

function withoutEra(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEra);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !OF_ONE_ERA.has(name));
  return Object.fromEntries(kept.map(([name, own]) => [name, withoutEra(own)]));
}
