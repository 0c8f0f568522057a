import type { SessionRecord, SessionStore } from './store.js';

/** A store that forgets everything when the process ends. */
export function memoryStore(): SessionStore {
  const records = new Map<string, SessionRecord>();
  const done = Promise.resolve();
  return {
    load: (id) => Promise.resolve(records.get(id)),
    put: (record) => void records.set(record.id, record),
    touch(id, at) {
      const record = records.get(id);
      if (record !== undefined) records.set(id, { ...record, touchedAt: at });
    },
    remove: (id) => void records.delete(id),
    prune({ before, keep }) {
      const byUse = [...records.values()].sort((a, b) => a.touchedAt - b.touchedAt);
      const removed: SessionRecord[] = [];
      for (const [index, record] of byUse.entries()) {
        if (record.touchedAt >= before && byUse.length - index <= keep) break;
        records.delete(record.id);
        removed.push(record);
      }
      return Promise.resolve(removed);
    },
    flush: () => done,
    close: () => done,
  };
}
