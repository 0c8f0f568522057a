/** By time, those of one time as they were. When some have none all stay as they were: nothing says where those belong. */
export function byTime<T>(items: readonly T[], timeOf: (item: T) => number | undefined): T[] {
  const timed = items.map((item) => ({ item, at: timeOf(item) }));
  if (timed.some(({ at }) => at === undefined)) return [...items];
  return timed.sort((a, b) => (a.at ?? 0) - (b.at ?? 0)).map(({ item }) => item);
}
