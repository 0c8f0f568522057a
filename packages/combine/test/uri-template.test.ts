import { describe, expect, it } from 'vitest';
import { fitsTemplate } from '../src/uri-template.js';

describe('fitsTemplate', () => {
  it.each([
    ['a://{id}', 'a://7', true],
    ['a://{id}', 'a://7/8', false],
    ['a://{+path}', 'a://7/8', true],
    ['a://{id}/text', 'a://7/text', true],
    ['a://{id}/text', 'a://7/blob', false],
    ['a://{x}-{y}', 'a://1-2-3', true],
    ['a://x{?q,r}', 'a://x?q=1&r=2', true],
    ['a://x', 'a://x', true],
    ['a://x', 'a://xy', false],
    ['a://{id', 'a://{id', true],
  ])('%s and %s: %s', (template, uri, fits) => {
    expect(fitsTemplate(template, uri)).toBe(fits);
  });

  it('gives up on templates that would take for ever', () => {
    expect(fitsTemplate(`${'{+a}'.repeat(30)}!`, 'a'.repeat(3000))).toBe(false);
  });
});
