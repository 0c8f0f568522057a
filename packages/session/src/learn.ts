import type { FrameObserver } from '@shadowcat/kernel';
import type { Json, RpcId } from '@shadowcat/wire';

/** The largest result of `initialize` that is remembered, in UTF-16 units of its message. */
const MAX_RESULT = 262_144;

export type InitializeOutcome =
  | { readonly kind: 'result'; readonly protocolVersion: string | undefined; readonly result: Json | undefined }
  | { readonly kind: 'error' };

/** Watches the reply to an `initialize` for the answer with this id, and reports it once. */
export function learnFrom(id: RpcId | undefined, learned: (outcome: InitializeOutcome) => void): FrameObserver {
  let seen = false;
  return {
    transforms: false,
    frame(frame) {
      if (seen) return;
      const { message } = frame;
      if (!isObject(message) || message['id'] !== id || 'method' in message) return;
      seen = true;
      if ('error' in message) {
        learned({ kind: 'error' });
        return;
      }
      const result = message['result'];
      const version = isObject(result) ? result['protocolVersion'] : undefined;
      learned({
        kind: 'result',
        protocolVersion: typeof version === 'string' ? version : undefined,
        result: (frame.text ?? '').length > MAX_RESULT ? undefined : (result as Json),
      });
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
