/** The methods of all revisions of MCP, the names of `Call.method` for what has none, and the tasks extension. */
const KNOWN: ReadonlySet<string> = new Set([
  'initialize',
  'notifications/initialized',
  'ping',
  'server/discover',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'subscriptions/listen',
  'tasks/get',
  'tasks/update',
  'tasks/result',
  'tasks/list',
  'tasks/cancel',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  '(response)',
  '(stream)',
  '(end)',
]);

/** The method as a label: clients may invent names, and each name would be a series for ever. */
export function methodLabel(method: string | undefined): string {
  if (method === undefined) return '(unread)';
  return KNOWN.has(method) ? method : 'other';
}
