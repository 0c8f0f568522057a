import type { Call, JsonObject } from '@shadowcat/wire';

/**
 * Whether a JSON answer is certainly not for the request it came for. Pooled connections are where answers get swapped, and
 * what is swapped must not reach a client. The id as the client wrote it is looked for first; only an answer without it is
 * parsed, since another spelling (`1` for `1.0`) is the same id.
 */
export function answersAnother(call: Call, answer: Uint8Array): boolean {
  const { message, batch } = call;
  if (batch || message?.kind !== 'request' || message.idText === undefined) return false;
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  if (bytes.includes(`"id":${message.idText}`)) return false;
  const id = idIn(bytes);
  return id !== undefined && id !== null && id !== message.id;
}

function idIn(bytes: Buffer): unknown {
  try {
    const value = JSON.parse(bytes.toString()) as JsonObject | null;
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value['id'] : undefined;
  } catch {
    return undefined;
  }
}
