import {
  asObject,
  failureText,
  keepMembers,
  META_SERVER_INFO,
  META_SUBSCRIPTION,
  type Message,
  MODERN,
  notificationText,
  responseText,
  spliceMessage,
  textAt,
  withMembers,
} from '@shadowcat/wire';
import { errorOf, withId } from '../answers.js';

/** Methods whose results say how long they may be kept (2026-07-28, "Caching"). A legacy server says nothing: not at all. */
const CACHEABLE: ReadonlySet<string> = new Set([
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'resources/read',
]);

/** The capabilities of servers that the modern revision knows by the same name. */
const MODERN_CAPABILITIES: ReadonlySet<string> = new Set([
  'experimental',
  'logging',
  'completions',
  'prompts',
  'resources',
  'tools',
]);

/** A legacy answer as a modern one, with the client's id. */
export function modernAnswer(answer: Message, method: string, idText: string): string {
  const error = errorOf(answer);
  if (error !== undefined) {
    const text = withId(answer, idText);
    // "Resource not found" has no code of its own any more (2026-07-28, "Error Codes").
    return error.code === -32002 ? spliceMessage(text, [{ path: ['error', 'code'], json: '-32602' }]) : text;
  }
  if (asObject(answer.value['result']) === undefined)
    return failureText(idText, { code: -32603, message: 'the server answered with a result that is no object' });
  const text = textAt(answer.text, ['result']) ?? '{}';
  const more: Record<string, string> = { resultType: '"complete"' };
  if (CACHEABLE.has(method)) Object.assign(more, { ttlMs: '0', cacheScope: '"private"' });
  return responseText(idText, withMembers(text, [], more));
}

/** The result of `server/discover` that a result of `initialize` amounts to. */
export function discoverResult(initialize: Message): string {
  const result = asObject(initialize.value['result']) ?? {};
  const text = textAt(initialize.text, ['result']) ?? '{}';
  const known = keepMembers(textAt(text, ['capabilities']) ?? '{}', (name) => MODERN_CAPABILITIES.has(name));
  const info = textAt(text, ['serverInfo']);
  return withMembers('{}', [], {
    resultType: '"complete"',
    ttlMs: '0',
    cacheScope: '"private"',
    supportedVersions: JSON.stringify([MODERN]),
    capabilities: known,
    instructions: typeof result['instructions'] === 'string' ? textAt(text, ['instructions']) : undefined,
    _meta: info === undefined ? undefined : `{${JSON.stringify(META_SERVER_INFO)}:${info}}`,
  });
}

/** A server's request as the modern revision embeds it in a result: without `_meta`, ids and tasks. */
export function inputRequest(question: Message): string {
  const params = asObject(question.value['params']);
  const method = JSON.stringify(question.method);
  if (params === undefined) return `{"method":${method}}`;
  const kept = withMembers(textAt(question.text, ['params']) ?? '{}', [], {
    _meta: undefined,
    task: undefined,
    elicitationId: undefined,
  });
  return `{"method":${method},"params":${kept}}`;
}

/** A notification, tied to the subscription that it is for. `id` is the JSON text of the `subscriptions/listen` request's id. */
export function tagged(method: string, paramsText: string, id: string): string {
  const meta = keepMembers(textAt(paramsText, ['_meta']) ?? '{}', () => true);
  const own = withMembers(meta, [], { [META_SUBSCRIPTION]: id });
  return notificationText(method, withMembers(paramsText, [], { _meta: own }));
}
