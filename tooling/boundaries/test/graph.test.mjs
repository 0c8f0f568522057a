import { describe, expect, it } from 'vitest';
import { BEGIN, drawMermaid, END, putPicture, withoutImplied } from '../graph.mjs';

const EDGES = new Map([
  ['apps/cli', new Set(['packages/kernel', 'packages/wire', 'packages/store'])],
  ['packages/store', new Set(['packages/kernel', 'packages/wire'])],
  ['packages/wire', new Set(['packages/kernel'])],
  ['packages/kernel', new Set(/** @type {string[]} */ ([]))],
]);

describe('the picture', () => {
  it('leaves out arrows that go without saying', () => {
    const reduced = [...withoutImplied(EDGES)].map(([from, targets]) => [from, [...targets]]);
    expect(reduced).toEqual([
      ['apps/cli', ['packages/store']],
      ['packages/store', ['packages/wire']],
      ['packages/wire', ['packages/kernel']],
      ['packages/kernel', []],
    ]);
  });

  it('draws rooms by colour and imports as arrows', () => {
    const picture = drawMermaid(withoutImplied(EDGES));
    expect(picture).toMatch(/subgraph IO\[.*\]\n {4}store\n {2}end/);
    expect(picture).toContain('cli --> store');
    expect(picture).not.toContain('cli --> kernel');
  });

  it('goes between its marks, however often', () => {
    const page = `above\n\n${BEGIN}\nold\n${END}\n\nbelow\n`;
    const once = putPicture(page, 'new');
    expect(once).toBe(`above\n\n${BEGIN}\n\nnew\n\n${END}\n\nbelow\n`);
    expect(putPicture(once, 'new')).toBe(once);
  });

  it('refuses a page without marks', () => {
    expect(() => putPicture('no marks', 'new')).toThrow('needs these two lines');
  });
});
