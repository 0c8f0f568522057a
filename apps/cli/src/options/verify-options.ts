import { maybe, one } from './option.js';
import { flag, int, oneOf } from './scalar-types.js';

/* How a live server is compared with tapes. */

export const VERIFY_OPTIONS = [
  one({
    name: 'level',
    type: oneOf('bytes', 'json', 'shape', 'contract'),
    fallback: 'json',
    group: 'Verify',
    commands: ['verify'],
    help: 'how answers have to agree: the same text, the same JSON, the same types, or what the outputSchema promises',
  }),
  maybe({
    name: 'learn',
    type: int({ min: 2, max: 1000 }),
    group: 'Verify',
    commands: ['verify'],
    rivals: ['update'],
    help: 'run so many times and propose an overlay for what varies, beside the tape; one that is there is left alone',
    example: '3',
  }),
  one({
    name: 'update',
    type: flag,
    fallback: 'false',
    group: 'Verify',
    commands: ['verify'],
    rivals: ['learn'],
    help: 'write the new answers into the tapes, and nothing else',
  }),
  one({
    name: 'allow-effects',
    type: flag,
    fallback: 'false',
    group: 'Verify',
    commands: ['verify'],
    help: 'also call tools that do not say that they are read-only (readOnlyHint)',
  }),
] as const;
