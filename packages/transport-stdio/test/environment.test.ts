import { describe, expect, it } from 'vitest';
import { childEnvironment } from '../src/index.js';

describe('the environment of a child', () => {
  it('has what is on the list and what the user adds, nothing else', () => {
    const from = {
      PATH: '/bin',
      HOME: '/root',
      AWS_SECRET_ACCESS_KEY: 'x',
      SHELL: '() { :;}; evil',
      NODE_OPTIONS: '-r x',
    };
    expect(childEnvironment({ TOKEN: 't', HOME: '/other' }, from)).toEqual({
      PATH: '/bin',
      HOME: '/other',
      TOKEN: 't',
    });
  });
});
