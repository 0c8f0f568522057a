import { asObject, type JsonObject, LEGACY_VERSIONS, requestText, textAt } from '@shadowcat/wire';
import type { Recording } from '../recording.js';
import type { ClientPlan } from './plan.js';

/** The recorded `initialize`; for a session that is older than its recording, one that asks for the same revision. */
export function openingText(recording: Recording, plan: ClientPlan): string {
  if (textAt(recording.message.text, ['params']) !== undefined) return recording.message.text;
  const version = asObject(recording.answer?.value['result'])?.['protocolVersion'] ?? LEGACY_VERSIONS[0] ?? '';
  const capabilities: Record<string, JsonObject> = {};
  for (const { method } of plan.asked) {
    const capability = {
      'sampling/createMessage': 'sampling',
      'elicitation/create': 'elicitation',
      'roots/list': 'roots',
    }[method ?? ''];
    if (capability !== undefined) capabilities[capability] = {};
  }
  const clientInfo = { name: 'shadowcat-verify', version: '1' };
  return requestText('0', 'initialize', JSON.stringify({ protocolVersion: version, capabilities, clientInfo }));
}
