import { ProxyError } from '@shadowcat/kernel';
import { jsonTree } from '../json-tree.js';

/** Why a message of a live server cannot be compared, such as its depth; `undefined` for almost all. */
export function unreadable(text: string): string | undefined {
  try {
    jsonTree(text);
    return undefined;
  } catch (error) {
    return ProxyError.from(error).message;
  }
}
