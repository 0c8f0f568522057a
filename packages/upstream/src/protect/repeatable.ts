import { type Call, objectAt } from '@shadowcat/wire';

/** Requests that change nothing at a server. */
const READ_ONLY: ReadonlySet<string> = new Set([
  'ping',
  'server/discover',
  'tools/list',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'completion/complete',
  'tasks/get',
  'tasks/list',
]);

/** Whether everything in the call is a request that changes nothing at a server. */
export function isReadOnly(call: Call | undefined): boolean {
  return isRepeatable(call, () => false);
}

/**
 * Whether the call may reach a server twice: all of it are requests that only read, or calls of tools of which `mayRepeat` says
 * so. A call that is to become a task never is.
 */
export function isRepeatable(call: Call | undefined, mayRepeat: (tool: string) => boolean): boolean {
  if (call === undefined || call.verb !== 'post' || call.messages.length === 0) return false;
  return call.messages.every(({ kind, method = '', value }) => {
    if (kind !== 'request') return false;
    if (method !== 'tools/call') return READ_ONLY.has(method);
    const params = objectAt(value, 'params');
    const name = params?.['name'];
    return typeof name === 'string' && params?.['task'] === undefined && mayRepeat(name);
  });
}
