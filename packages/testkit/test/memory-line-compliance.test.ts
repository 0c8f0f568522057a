import { ProxyError } from '@shadowcat/kernel';
import { describe, expect, it } from 'vitest';
import { connectionCompliance, memoryLine } from '../src/index.js';

connectionCompliance(
  { describe, it, expect },
  {
    name: 'a line in memory',
    finished: undefined,
    vanished: 'upstream_closed',
    open: async () => {
      const { near, far } = memoryLine({ capacity: 16 });
      return {
        near,
        far: {
          send: (text) => far.send(text),
          read: (message) => far.listen({ message, closed: () => {} }),
          finish: () => void far[Symbol.asyncDispose](),
          vanish: () => far.destroy(new ProxyError('internal', 'gone')),
        },
        close: async () => {
          far.destroy(new ProxyError('draining', 'the test is over'));
          return near.ended ? [] : ['the near end'];
        },
      };
    },
  },
);
