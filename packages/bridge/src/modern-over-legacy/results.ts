import {
  type JsonObject,
  META_SUBSCRIPTION,
  type Message,
  MODERN,
  notificationText,
  responseText,
  spliceMessage,
} from '@shadowcat/wire';
import { errorOf, withId } from '../answers.js';
import { memberText, objectOf, rebuilt } from '../object-text.js';

const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';

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
  const result = objectOf(answer.value['result']) ?? {};
  const text = memberText(answer.text, ['result']) ?? '{}';
  const more: Record<string, string> = { resultType: '"complete"' };
  if (CACHEABLE.has(method)) Object.assign(more, { ttlMs: '0', cacheScope: '"private"' });
  return responseText(idText, rebuilt(text, result, { more }));
}

/** The result of `server/discover` that a result of `initialize` amounts to. */
export function discoverResult(initialize: Message): string {
  const result = objectOf(initialize.value['result']) ?? {};
  const text = memberText(initialize.text, ['result']) ?? '{}';
  const capabilities = objectOf(result['capabilities']) ?? {};
  const known = rebuilt(memberText(text, ['capabilities']) ?? '{}', capabilities, {
    keep: (name) => MODERN_CAPABILITIES.has(name),
  });
  const instructions =
    typeof result['instructions'] === 'string' ? { instructions: memberText(text, ['instructions']) ?? '""' } : {};
  const info = memberText(text, ['serverInfo']);
  return rebuilt(
    '{}',
    {},
    {
      more: {
        resultType: '"complete"',
        ttlMs: '0',
        cacheScope: '"private"',
        supportedVersions: JSON.stringify([MODERN]),
        capabilities: known,
        ...instructions,
        ...(info === undefined ? {} : { _meta: `{${JSON.stringify(SERVER_INFO)}:${info}}` }),
      },
    },
  );
}

/** A server's request as the modern revision embeds it in a result: without `_meta`, ids and tasks. */
export function inputRequest(question: Message): string {
  const params = objectOf(question.value['params']);
  const method = JSON.stringify(question.method);
  if (params === undefined) return `{"method":${method}}`;
  const kept = rebuilt(memberText(question.text, ['params']) ?? '{}', params, {
    keep: (name) => name !== '_meta' && name !== 'task' && name !== 'elicitationId',
  });
  return `{"method":${method},"params":${kept}}`;
}

/** A notification, tied to the subscription that it is for. `id` is the JSON text of the `subscriptions/listen` request's id. */
export function tagged(
  method: string,
  params: { readonly text: string; readonly value: JsonObject },
  id: string,
): string {
  const meta = objectOf(params.value['_meta']) ?? {};
  const own = rebuilt(memberText(params.text, ['_meta']) ?? '{}', meta, { more: { [META_SUBSCRIPTION]: id } });
  return notificationText(method, rebuilt(params.text, params.value, { more: { _meta: own } }));
}
