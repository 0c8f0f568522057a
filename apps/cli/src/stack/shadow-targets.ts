import type { ProxyConfig } from './contract.js';

/** Targets that only take copies: no client is ever sent to them. */
export function shadowTargets({
  targets,
  groups,
  routes,
  mirror,
}: Pick<ProxyConfig, 'targets' | 'groups' | 'routes' | 'mirror'>): ReadonlySet<string> {
  if (mirror === undefined) return new Set();
  const served = groups.filter(({ name }) => name !== mirror.to || routes.some(({ to }) => to === name));
  const serving = new Set(served.flatMap(({ members }) => members));
  return new Set(targets.flatMap(({ name }) => (serving.has(name) ? [] : [name])));
}
