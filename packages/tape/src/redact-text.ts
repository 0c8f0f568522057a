import type { IsSecretKey } from './redact-keys.js';

/** What free text is searched with. */
export interface TextRules {
  readonly isSecret: IsSecretKey;
  readonly isSecretInQuery: IsSecretKey;
  /** The placeholder for a value. Gives placeholders back as they are. */
  readonly hide: (value: string) => string;
}

const KEY = '(?<key>[A-Za-z_][\\w.-]{0,63})';
const QUOTED = `"(?:[^"\\\\\\n]|\\\\.){0,4096}"|'(?:[^'\\\\\\n]|\\\\.){0,4096}'`;

const USER_INFO = /(?<scheme>[a-z][a-z0-9+.-]{0,31}:\\?\/\\?\/)(?<value>[^\s"'<>/?#@\\]+)@/gi;
const QUERY = /(?<before>[?&;])(?<key>[\w.%[\]-]{1,64})=(?<value>[^&#;\s"'<>\\]+)/g;
const HEADER =
  /\b(?<before>(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|mcp-session-id)["']?\s*[:=]\s*["']?)(?<value>[^\r\n"'\\]+)/gi;
const SCHEME = /\b(?<before>(?:bearer|basic)[ \t]+)(?<value>(?=[\w.~+/-]*\d)[\w.~+/-]{8,}=*)/gi;

/** A key, what stands between it and its value, and the value; before the key a quote or what ends the text before. */
const KEYED: readonly RegExp[] = [
  new RegExp(`(?<before>(?:^|[\\s"'\`])--?)${KEY}(?<between>[ \\t]+)(?<value>${QUOTED}|[^\\s"'-][^\\s"']*)`, 'g'),
  new RegExp(
    `(?<quote>["']?)\\b${KEY}(?<between>\\k<quote>\\s{0,4}=\\s{0,4})(?<value>${QUOTED}|[^\\s"'&,;<>()\\]}]+)`,
    'g',
  ),
  new RegExp(`(?<quote>["'])${KEY}(?<between>\\k<quote>\\s{0,16}:\\s{0,16})(?<value>${QUOTED}|-?\\d[\\w.]*)`, 'g'),
  new RegExp(`(?<before>^[ \\t-]{0,32})${KEY}(?<between>:[ \\t]+)(?<value>${QUOTED}|[^\\s"']+)(?=[ \\t]*$)`, 'gm'),
];

/** What follows a key in documentation rather than in data. */
const NO_VALUES = new Set(
  'string number boolean integer object null true false undefined required optional'.split(' '),
);

/**
 * Hides secrets in text that is no JSON: user information and query parameters of URLs, header lines, `Bearer …`,
 * `--flag value`, `NAME=value`, `"name": "value"` and lines `name: value`. Applying it twice is applying it once.
 */
export function redactFreeText(text: string, rules: TextRules): string {
  const { hide } = rules;
  let out = replaceGroups(text, USER_INFO, (found) => hideUserInfo(found, hide));
  out = replaceGroups(out, QUERY, (found) => {
    if (!rules.isSecretInQuery(decoded(found.key))) return undefined;
    return `${found.before}${found.key}=${hide(decoded(found.value))}`;
  });
  out = replaceGroups(out, HEADER, ({ before, value }) => `${before}${hide(value.trim())}`);
  out = replaceGroups(out, SCHEME, ({ before, value }) => `${before}${hide(value)}`);
  for (const pattern of KEYED) out = replaceGroups(out, pattern, (found) => hideKeyed(found, rules));
  return out;
}

/** The named groups of a match; those that a pattern has not are empty. */
type Groups = Readonly<Record<'before' | 'quote' | 'scheme' | 'key' | 'between' | 'value', string>>;
const NONE: Groups = { before: '', quote: '', scheme: '', key: '', between: '', value: '' };

/** What an earlier pattern, or an earlier redaction, has put there is not hidden once more. */
const HIDDEN = /^["']?~redacted\.[0-9a-f]{16}~/;

/** Replaces what `pattern` finds by what `replace` makes of its groups; `undefined` leaves it. */
function replaceGroups(text: string, pattern: RegExp, replace: (found: Groups) => string | undefined): string {
  return text.replace(pattern, (...found: unknown[]) => {
    const whole = String(found[0]);
    const groups = { ...NONE, ...(found.at(-1) as Partial<Groups>) };
    return HIDDEN.test(groups.value) ? whole : (replace(groups) ?? whole);
  });
}

function hideKeyed(found: Groups, { isSecret, hide }: TextRules): string | undefined {
  const { before, quote, key, between, value } = found;
  if (!isSecret(key) || NO_VALUES.has(value.toLowerCase())) return undefined;
  return `${before}${quote}${key}${between}${hideQuoted(value, hide)}`;
}

/** `user:password` keeps its user; user information without a password is hidden on the web, where it is a token. */
function hideUserInfo({ scheme, value }: Groups, hide: TextRules['hide']): string | undefined {
  const colon = value.indexOf(':');
  if (colon >= 0) return `${scheme}${value.slice(0, colon)}:${hide(decoded(value.slice(colon + 1)))}@`;
  return scheme.toLowerCase().startsWith('http') ? `${scheme}${hide(decoded(value))}@` : undefined;
}

function hideQuoted(value: string, hide: TextRules['hide']): string {
  const quote = value[0];
  if (quote !== '"' && quote !== "'") return hide(value);
  const inner = value.slice(1, -1);
  return inner === '' ? value : `${quote}${hide(inner)}${quote}`;
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
