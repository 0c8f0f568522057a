import { resolve } from 'node:path';
import { ProxyError } from '@shadowcat/kernel';
import { memoryStore } from '@shadowcat/session';
import type { Store } from './health.js';
import type { StoreComponents } from './sqlite-store.js';

/**
 * Opens the session store that `url` names: `memory:`, or `sqlite:` and a path (a relative one is resolved against the
 * working directory). Rejects with `ProxyError('store_failed')`, whose message is one plain line.
 */
export async function openStore(url: string, components: StoreComponents): Promise<Store> {
  if (url === 'memory:') return inMemory();
  const path = url.startsWith('sqlite:') ? url.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '') : '';
  if (path === '') {
    throw new ProxyError('store_failed', `--store ${url}: not a store; use sqlite:PATH or memory:`);
  }
  // Loaded here, because the query builder is a quarter of what a proxy with its sessions in memory would load.
  const { openSqliteStore } = await import('./sqlite-store.js');
  return openSqliteStore(resolve(path), components);
}

function inMemory(): Store {
  return { ...memoryStore(), health: () => Promise.resolve({ ok: true, kind: 'memory', where: '', pending: 0 }) };
}
