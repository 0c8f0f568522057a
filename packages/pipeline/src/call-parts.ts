import type { Call } from '@shadowcat/wire';

/** The ids of all requests of a call, as they were written. */
export function requestIds(call: Call): string[] {
  const ids: string[] = [];
  for (const { kind, idText } of call.messages) if (kind === 'request' && idText !== undefined) ids.push(idText);
  return ids;
}
