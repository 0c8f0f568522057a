import type { RequestHead } from '@shadowcat/kernel';
import type { Call } from './call.js';
import type { Message } from './jsonrpc.js';
export function classify(head: RequestHead, messages: readonly Message[], batch: boolean): Call { void head; void messages; void batch; throw new Error('soon'); }
