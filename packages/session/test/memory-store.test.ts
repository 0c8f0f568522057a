import { sessionStoreCompliance } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { memoryStore } from '../src/memory-store.js';

// biome-ignore lint/suspicious/noMisplacedAssertion: vitest's functions are handed to the suite
sessionStoreCompliance({ describe, it, expect }, { name: 'memoryStore', open: () => Promise.resolve(memoryStore()) });
