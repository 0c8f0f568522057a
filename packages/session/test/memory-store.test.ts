import { sessionStoreCompliance } from '@shadowcat/testkit';
import { describe, expect, it } from 'vitest';
import { memoryStore } from '../src/memory-store.js';

sessionStoreCompliance({ describe, it, expect }, { name: 'memoryStore', open: () => Promise.resolve(memoryStore()) });
