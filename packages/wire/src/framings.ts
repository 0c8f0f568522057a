import { type Framing, opaqueFraming } from '@shadowcat/kernel';
import { jsonFraming } from './json-framing.js';
import { ndjsonFraming } from './ndjson-framing.js';
import { sseFraming } from './sse-framing.js';

/** The essence of a media type: lower case, without parameters. */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return '';
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** How messages lie in a body of this content type. */
export function framingOf(contentType: string | undefined): Framing {
  const type = mediaType(contentType);
  if (type === 'application/json' || type.endsWith('+json')) return jsonFraming;
  if (type === 'text/event-stream') return sseFraming;
  if (type === 'application/x-ndjson') return ndjsonFraming;
  return opaqueFraming;
}
