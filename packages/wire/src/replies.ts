import type { ErrorCode, ProxyError, Reply } from '@shadowcat/kernel';
import type { Era } from './call.js';
export const REPLIES = {} as Readonly<Record<ErrorCode, { readonly status: number; readonly rpc: number }>>;
export function errorText(error: ProxyError, idText: string | null): string { void error; void idText; throw new Error('soon'); }
export function errorReply(error: ProxyError, options: { readonly idTexts?: readonly string[]; readonly era?: Era } = {}): Reply { void error; void options; throw new Error('soon'); }
