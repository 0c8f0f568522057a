import { decodeHeaderValue, encodeHeaderValue } from '@shadowcat/wire';
import { redactJson, redactString, type Walk } from './redact-json.js';
import { hideValue } from './redact-keyed.js';
import { type RedactionOptions, type Rules, rulesOf, type SecretFinding } from './redact-rules.js';
import { redactFreeText } from './redact-text.js';

/** Keyed hash of a text (HMAC-SHA-256 with the project's key), as at least 16 hex digits. */
export type Hmac = (text: string) => string;

/**
 * Replaces secrets by placeholders, so that equal secrets stay equal and nobody without the key can tell which they were.
 * Everything else keeps its text. Idempotent: what is a placeholder stays as it is, so an answer that was recorded
 * redacted can be given back to the replay that served it.
 */
export interface Redactor {
  /** Names the rules, for the tape's head: the built-in ones, and a fingerprint of the project's own. */
  readonly policy: string;
  /** Throws `ProxyError('parse_error')` when it is no JSON, or nested too deep to be walked, and might hold a secret. */
  json(text: string): string;
  /** Text of any other kind. */
  text(text: string): string;
  /** Whether a text has to be walked; when not, it stays as it is. Takes a small part of the time that walking takes. */
  suspects(text: string): boolean;
  /** The value of a header field. */
  header(name: string, value: string): string;
  /** Whether what stands beside, or below, this key is a secret. */
  isSecret(key: string): boolean;
  /** Hides values that are secrets wherever they occur, such as the ids of sessions. In JSON text too. */
  known(text: string, values: readonly string[]): string;
}

/** Known values shorter than this could be words of ordinary text. */
const MIN_KNOWN = 12;
/** What JSON spells as it is. */
const PLAIN = /^[\w.~-]*$/;
/** Changes when the built-in rules do. */
const BUILT_IN = 'default@3';

/** Whether JSON has a value as it is, without an escape. */
export function isSpelledPlainly(value: string): boolean {
  return PLAIN.test(value);
}

/** Whether a text holds a placeholder; what a missing key can then explain. */
export function hasPlaceholder(text: string): boolean {
  return /~redacted\.[0-9a-f]{16}~/.test(text);
}

/** `found` is told each secret that is hidden, before its placeholder is there. Throws `SyntaxError` for a broken pattern. */
export function createRedactor(
  options: RedactionOptions,
  hmac: Hmac,
  found?: (finding: SecretFinding) => void,
): Redactor {
  const hidden = (value: string): string => `~redacted.${hmac(value).slice(0, 16)}~`;
  const known = (text: string, values: readonly string[]): string =>
    values.length === 0 ? text : hideKnown(text, values, hidden);
  if (options.off === true) {
    const same = (text: string): string => text;
    return {
      policy: 'none',
      json: same,
      text: same,
      suspects: () => false,
      header: (_, value) => value,
      isSecret: () => false,
      known,
    };
  }
  const trail: string[] = [];
  const rules = rulesOf(
    options,
    hmac,
    found === undefined ? undefined : (why) => found({ ...why, pointer: trail.join('') }),
  );
  const walk: Walk = { rules, trail };
  const begin = (): Walk => {
    trail.length = 0;
    return walk;
  };
  return {
    policy: policyOf(options, hmac),
    json: (text) => (rules.suspicious(text) ? redactJson(text, begin()) : text),
    text: (text) => (rules.suspicious(text) ? redactString(text, begin(), 0) : text),
    suspects: rules.suspicious,
    known,
    isSecret: rules.isSecret,
    header: (name, value) => redactHeader(name, value, begin().rules),
  };
}

function redactHeader(name: string, value: string, rules: Rules): string {
  if (rules.isSecret(name) || rules.isWeak(name, value)) return hideValue(value, { kind: 'header', name }, rules);
  const said = decodeHeaderValue(value) ?? value;
  const shown = rules.suspicious(said) ? redactFreeText(said, rules) : said;
  return shown === said ? value : encodeHeaderValue(shown);
}

/** The values that are known are not in it: they differ from one machine to the next. */
function policyOf({ keys = [], patterns = [], allow = [] }: RedactionOptions, hmac: Hmac): string {
  if (keys.length + patterns.length + allow.length === 0) return BUILT_IN;
  return `${BUILT_IN}+${hmac(JSON.stringify([keys, patterns, allow])).slice(0, 8)}`;
}

function hideKnown(text: string, known: readonly string[], hide: (value: string) => string): string {
  let result = text;
  for (const value of known) {
    if (value.length < MIN_KNOWN) continue;
    const spelled = PLAIN.test(value) ? value : JSON.stringify(value).slice(1, -1);
    if (result.includes(spelled)) result = result.replaceAll(spelled, hide(value));
    if (spelled !== value && result.includes(value)) result = result.replaceAll(value, hide(value));
  }
  return result;
}
