import { describe, expect, it } from 'vitest';
import { misspeltVariables } from '../../src/config/environment.js';
import { SPECS } from '../../src/options/table.js';
import { tapeMode } from '../../src/testing/mode.js';

describe('SHADOWCAT_MODE', () => {
  it('replays unless it says something else', () => {
    expect(tapeMode({})).toBe('replay');
    expect(tapeMode({ SHADOWCAT_MODE: '' })).toBe('replay');
    for (const mode of ['replay', 'record', 'once', 'live']) expect(tapeMode({ SHADOWCAT_MODE: mode })).toBe(mode);
  });

  it('is one of four', () => {
    expect(() => tapeMode({ SHADOWCAT_MODE: 'recrod' })).toThrow(
      'SHADOWCAT_MODE: "recrod" is none of replay, record, once, live',
    );
  });

  it('never leads to a server on CI', () => {
    for (const ci of ['true', '1', 'yes']) {
      expect(tapeMode({ CI: ci })).toBe('replay');
      expect(tapeMode({ CI: ci, SHADOWCAT_MODE: 'once' })).toBe('replay');
      expect(() => tapeMode({ CI: ci, SHADOWCAT_MODE: 'record' })).toThrow('a run on CI never records a tape');
      expect(() => tapeMode({ CI: ci, SHADOWCAT_MODE: 'live' })).toThrow('a run on CI never calls a server');
    }
  });

  it('is no misspelt option of the command line', () => {
    expect(misspeltVariables({ SHADOWCAT_MODE: 'record' }, SPECS)).toEqual([]);
  });

  it('is not on CI where CI is set to no', () => {
    for (const ci of ['', '0', 'false', 'FALSE']) expect(tapeMode({ CI: ci, SHADOWCAT_MODE: 'record' })).toBe('record');
  });
});
