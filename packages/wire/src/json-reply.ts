import { Body, type HeaderMap, type Reply, reply } from '@shadowcat/kernel';
import { jsonFraming } from './json-framing.js';

const encoder = new TextEncoder();

/** One JSON text as a whole reply; status 200 unless told otherwise. */
export function jsonReply(
  text: string,
  { status = 200, headers = {} }: { readonly status?: number | undefined; readonly headers?: HeaderMap } = {},
): Reply {
  const fields = { 'content-type': 'application/json', ...headers };
  return reply({ status, headers: fields }, Body.whole(encoder.encode(text), jsonFraming));
}
