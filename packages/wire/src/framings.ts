import { Frame, type Framing, opaqueFraming } from '@shadowcat/kernel';
export const jsonFraming: Framing = { ...opaqueFraming, name: 'json' };
export const sseFraming: Framing = { ...opaqueFraming, name: 'sse' };
export const ndjsonFraming: Framing = { ...opaqueFraming, name: 'ndjson' };
export function framingOf(contentType: string | undefined): Framing { void contentType; void Frame; throw new Error('soon'); }
export function sseBytes(frame: Frame): Uint8Array { void frame; throw new Error('soon'); }
