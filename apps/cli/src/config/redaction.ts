import type { RedactionOptions } from '@shadowcat/tape';
import type { Settings } from './settings.js';

/** The project's own rules of what is hidden on tapes. */
export function redactionOf(settings: Settings): RedactionOptions {
  return {
    keys: settings.get('redact-key'),
    patterns: settings.get('redact-pattern'),
    allow: settings.get('redact-allow'),
    off: settings.get('no-redact'),
  };
}
