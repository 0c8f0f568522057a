import { isBasic } from './redact-base64.js';
import { mayBeCommand } from './redact-commands.js';
import { hasMark, SECRET_KEYS, SECRET_QUERY_KEYS, secretKeys, suspicion, WEAK_KEYS } from './redact-keys.js';
import { holdsToken, looksRandom, standsForSecret } from './redact-patterns.js';

/** What a project says about its secrets, over the built-in lists. */
export interface RedactionOptions {
  /** More keys whose values are secrets, as words in any spelling. */
  readonly keys?: readonly string[];
  /** Regular expressions; what they match is a secret, or, where they have a group, what the first group matches. */
  readonly patterns?: readonly string[];
  /** What is no secret: a key, or `/expression/` that matches the whole value. */
  readonly allow?: readonly string[];
  /** Texts that are known to be secret, such as what the proxy was configured with. Short ones are ignored. */
  readonly values?: readonly string[];
  /** Nothing is hidden but values that are handed to `known`. */
  readonly off?: boolean;
}

/** Why something is a secret. `name` is the key, flag or field that said so, as it stands in the text. */
export interface SecretReason {
  readonly kind: string;
  readonly name?: string;
}

/** A secret that was met; never the secret itself. */
export interface SecretFinding extends SecretReason {
  /** Where in the text: a JSON pointer; `#` leads into JSON that stands in a string. Empty for text that is no JSON. */
  readonly pointer: string;
}

/** What texts are searched with. */
export interface Rules {
  /** Whether a value beside this key is a secret, as far as key and value tell. */
  readonly isSecret: (key: string) => boolean;
  readonly isSecretInQuery: (key: string) => boolean;
  /** A key that needs its value's looks to be one. */
  readonly isWeak: (key: string, value: string) => boolean;
  /** Whether a value beside this key has to be looked at. */
  readonly mayBeSecret: (key: string) => boolean;
  readonly patterns: readonly RegExp[];
  readonly values: readonly string[];
  /** False for most texts: they need no closer look. */
  readonly suspicious: (text: string) => boolean;
  /** The placeholder for a value. Gives placeholders, and what is allowed, back as they are. */
  readonly hide: (value: string, why: SecretReason) => string;
}

const PLACEHOLDER = /^~redacted\.[0-9a-f]{16}~$/;
/** Known values shorter than this could be words of ordinary text. */
const MIN_VALUE = 8;
/** In these a text between quotes is not what it is inside of a JSON string, or the surroundings count. */
const NEEDS_ITS_PLACE = /[\^$"]|\\[bB\\]|\(\?/;

/** Makes the rules. `seen` is told each secret that is hidden. */
export function rulesOf(
  options: RedactionOptions,
  hmac: (text: string) => string,
  seen: (why: SecretReason) => void = () => {},
): Rules {
  const keys = [...SECRET_KEYS, ...(options.keys ?? [])];
  const allow = options.allow ?? [];
  const allowedKeys = allow.filter((entry) => expressionOf(entry) === undefined);
  const allowed = allow.flatMap((entry) => expressionOf(entry) ?? []).map((source) => new RegExp(`^(?:${source})$`));
  const patterns = (options.patterns ?? []).map((source) => new RegExp(source, 'dg'));
  // One of them may begin like another: the longer one first.
  const values = (options.values ?? [])
    .filter((value) => value.length >= MIN_VALUE)
    .sort((a, b) => b.length - a.length);
  const weak = secretKeys(WEAK_KEYS, allowedKeys);
  const isSecret = secretKeys(keys, allowedKeys);
  return {
    isSecret,
    mayBeSecret: (key) => isSecret(key) || weak(key),
    isSecretInQuery: secretKeys([...keys, ...SECRET_QUERY_KEYS], allowedKeys),
    isWeak: (key, value) => weak(key) && (looksRandom(value) || isBasic(value)),
    patterns,
    values,
    suspicious: suspicionOf(keys, options.patterns ?? [], values),
    hide: (value, why) => {
      if (PLACEHOLDER.test(value) || standsForSecret(value)) return value;
      if (allowed.some((expression) => expression.test(value))) return value;
      seen(why);
      return `~redacted.${hmac(value).slice(0, 16)}~`;
    },
  };
}

/** The expression of an entry `/expression/`. */
function expressionOf(entry: string): string | undefined {
  return entry.length > 2 && entry.startsWith('/') && entry.endsWith('/') ? entry.slice(1, -1) : undefined;
}

/** One test, or two, for most messages; patterns of a project cost one each, and a closer look where one test cannot tell. */
function suspicionOf(
  keys: readonly string[],
  patterns: readonly string[],
  values: readonly string[],
): (text: string) => boolean {
  const words = suspicion(keys);
  const builtIn = (text: string): boolean =>
    words.test(text) ||
    hasMark(text) ||
    text.includes('"blob"') ||
    text.includes(';base64,') ||
    mayBeCommand(text) ||
    holdsToken(text);
  if (patterns.length === 0 && values.length === 0) return builtIn;
  if (patterns.some((source) => NEEDS_ITS_PLACE.test(source))) return () => true;
  const own = patterns.map((source) => new RegExp(source));
  return (text) =>
    builtIn(text) ||
    text.includes('\\') ||
    values.some((value) => text.includes(value)) ||
    own.some((pattern) => pattern.test(text));
}
