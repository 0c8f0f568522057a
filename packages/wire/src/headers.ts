import type { HeaderMap, ProxyError, RequestHead } from '@shadowcat/kernel';
import type { Call } from './call.js';
export function checkModernHeaders(head: RequestHead, call: Call): ProxyError | undefined { void head; void call; throw new Error('soon'); }
export function hopByHop(headers: HeaderMap): HeaderMap { return headers; }
export function decodeHeaderValue(value: string): string | undefined { return value; }
