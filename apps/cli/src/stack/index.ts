import { ProxyError } from '@shadowcat/kernel';
import type { RecordStdioConfig, ReplayConfig, ReverseConfig } from './contract.js';

const unbuilt = (): Promise<number> => Promise.reject(new ProxyError('internal', 'the stack is not composed yet'));

export const runReverse = (_config: ReverseConfig): Promise<number> => unbuilt();
export const runRecordStdio = (_config: RecordStdioConfig): Promise<number> => unbuilt();
export const runReplay = (_config: ReplayConfig): Promise<number> => unbuilt();
