import { hideBase64 } from './redact-base64.js';
import { holdsToken, PRIVATE_KEY, TOKEN_FORMATS, TOKENS } from './redact-patterns.js';
import type { Rules, SecretReason } from './redact-rules.js';

const KEY = '(?<key>[A-Za-z_][\\w.-]{0,63})';
/** Also one whose end was cut off. */
const QUOTED = `"(?:[^"\\\\]|\\\\[\\s\\S]){0,4096}(?:"|$)|'(?:[^'\\\\]|\\\\[\\s\\S]){0,4096}(?:'|$)`;

/** What a program computes is no secret: `token = next(`, `password = process.env.`. Only with space around the sign, as programs have it. */
const CODE =
  '(?:await\\s|new\\s)?(?:[A-Za-z_$][\\w$.]{0,127}[(\\[]|(?:process|os|self|this|config|settings|options|args|params|req|request|ctx)\\.)';

/** `${NAME}`, `{{ name }}`: to be met as a whole, in order to be left. */
const STAND_IN = '\\$?\\{{1,2}[\\w .:-]{1,64}\\}{1,2}';

const USER_INFO = /(?<scheme>[a-z][a-z0-9+.-]{0,31}:\\?\/\\?\/)(?<value>[^\s"'<>/?#@\\]+)@/gi;
const QUERY = /(?<before>[?&;])(?<key>[\w.%[\]-]{1,64})=(?<value>[^&#;\s"'<>\\]+)/g;
const HEADER =
  /\b(?<before>(?<key>(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|mcp-session-id)["']?\s{0,4}[:=]\s{0,4}["']?)(?<value>[^\r\n"'\\]+)/gi;
const SCHEME =
  /\b(?<before>(?:[Bb]earer|BEARER|[Bb]asic|BASIC)[ \t]+)(?<value>(?=[\w.~+/-]*(?:\d|[a-z][A-Z]))[\w.~+/-]{8,}=*)/g;

/** A key, what stands between it and its value, and the value; before the key a quote or what ends the text before. */
const KEYED: readonly (readonly [kind: string, pattern: RegExp])[] = [
  [
    'flag',
    new RegExp(`(?<before>(?:^|[\\s"'\`])--?)${KEY}(?<between>[ \\t]+)(?<value>${QUOTED}|[^\\s"'-][^\\s"']*)`, 'g'),
  ],
  [
    'assignment',
    new RegExp(
      `(?<quote>["']?)\\b${KEY}(?<between>\\k<quote>(?:=(?!\\s)|\\s{0,4}=\\s{0,4}(?!${CODE})))(?<value>${QUOTED}|${STAND_IN}|[^\\s"'&,;<>()\\]}]+)`,
      'g',
    ),
  ],
  [
    'member',
    new RegExp(`(?<quote>["'])${KEY}(?<between>\\k<quote>\\s{0,16}:\\s{0,16})(?<value>${QUOTED}|-?\\d[\\w.]*)`, 'g'),
  ],
  [
    'member',
    new RegExp(
      `(?<quote>\\\\{1,8}["'])${KEY}(?<between>\\k<quote>\\s{0,16}[:=]\\s{0,16}\\k<quote>)(?<value>(?:(?!\\k<quote>)[^\\n]){1,4096})`,
      'g',
    ),
  ],
  [
    'field',
    new RegExp(
      `(?<before>["'])${KEY}(?<between>:[ \\t]{0,4})(?<value>(?:[Bb]earer |[Bb]asic )?[^\\s"']+)(?=["'])`,
      'g',
    ),
  ],
  [
    'line',
    new RegExp(
      `(?<before>^[ \\t-]{0,32})${KEY}(?<between>:[ \\t]*)(?<value>${QUOTED}|[^\\s"'/][^\\s"']*)(?=[ \\t]*\\r?$)`,
      'gm',
    ),
  ],
];

/** What follows a key in documentation and types rather than in data; and where something begins that is looked at by itself. */
const NO_VALUES = new Set(
  (
    'string number boolean integer object null true false undefined required optional str int float bool bytes any none unknown uuid ' +
    '{ [ {{ ${ | >'
  ).split(' '),
);

/**
 * Hides secrets in text that is no JSON: private keys, user information and query parameters of URLs, header lines, `Bearer …`,
 * `--flag value`, `NAME=value`, `"name": "value"`, `"name: value"`, lines `name: value`, tokens of known formats, and what the project said.
 */
export function redactFreeText(text: string, rules: Rules): string {
  let out = text.includes('PRIVATE KEY') ? text.replace(PRIVATE_KEY, (key) => rules.hide(key, PRIVATE)) : text;
  if (out.includes(';base64,')) out = hideBase64(out, rules, redactFreeText);
  out = replaceGroups(out, USER_INFO, (found) => hideUserInfo(found, rules));
  out = replaceGroups(out, QUERY, ({ before, key, value }) => {
    const name = decoded(key);
    const secret = rules.isSecretInQuery(name) || rules.isWeak(name, value);
    return secret ? `${before}${key}=${rules.hide(decoded(value), { kind: 'url-parameter', name })}` : undefined;
  });
  out = replaceGroups(out, HEADER, ({ before, key, value }) => {
    return rules.isSecret(key)
      ? `${before}${hideValue(value.trim(), { kind: 'header', name: key }, rules)}`
      : undefined;
  });
  out = replaceGroups(out, SCHEME, ({ before, value }) => {
    return `${before}${rules.hide(value, { kind: 'credential', name: before.trim() })}`;
  });
  for (const [kind, pattern] of KEYED) out = replaceGroups(out, pattern, (found) => hideKeyed(kind, found, rules));
  return hideShapes(out, rules);
}

export const PRIVATE: SecretReason = { kind: 'private-key' };

/** Tokens of known formats, and what the project said; for texts in which keys mean nothing. */
export function hideShapes(text: string, rules: Rules): string {
  let out = text;
  if (holdsToken(out)) {
    out = out.replace(TOKENS, (token: string, ...groups: unknown[]) => {
      const format = groups.findIndex((group) => group !== undefined);
      return rules.hide(token, { kind: TOKEN_FORMATS[format]?.kind ?? 'token' });
    });
  }
  for (const value of rules.values) {
    if (out.includes(value)) out = out.replaceAll(value, () => rules.hide(value, { kind: 'configured-value' }));
  }
  for (const pattern of rules.patterns) out = hidePattern(out, pattern, rules);
  return out;
}

function hidePattern(text: string, pattern: RegExp, rules: Rules): string {
  return outsidePlaceholders(text, (part) =>
    part.replace(pattern, (whole: string, ...rest: unknown[]) => {
      if (whole === '') return whole;
      const group = typeof rest[0] === 'string' && rest[0] !== '' ? rest[0] : undefined;
      const hidden = rules.hide(group ?? whole, { kind: 'pattern', name: pattern.source });
      return group === undefined ? hidden : whole.replace(group, () => hidden);
    }),
  );
}

/** What a project's pattern may match is not in our hands: placeholders are kept out of its reach. */
function outsidePlaceholders(text: string, replace: (part: string) => string): string {
  if (!text.includes('~redacted.')) return replace(text);
  return text
    .split(/(~redacted\.[0-9a-f]{16}~)/)
    .map((part, at) => (at % 2 === 1 ? part : replace(part)))
    .join('');
}

/** `Bearer <secret>`: the scheme stays, so that the secret is equal to the same one elsewhere. */
export function hideValue(value: string, why: SecretReason, { hide }: Pick<Rules, 'hide'>): string {
  const scheme = /^(?:bearer|basic|token|digest)[ \t]+(?=\S)/i.exec(value)?.[0];
  return scheme === undefined ? hide(value, why) : `${scheme}${hide(value.slice(scheme.length), why)}`;
}

/** The named groups of a match; those that a pattern has not are empty. */
type Groups = Readonly<Record<'before' | 'quote' | 'scheme' | 'key' | 'between' | 'value', string>>;
const NONE: Groups = { before: '', quote: '', scheme: '', key: '', between: '', value: '' };

/** What an earlier pattern, or an earlier redaction, has put there is not hidden once more. */
const HIDDEN = /^["']?(?:(?:bearer|basic|token|digest)[ \t]+)?~redacted\.[0-9a-f]{16}~/i;

/** Replaces what `pattern` finds by what `replace` makes of its groups; `undefined` leaves it. */
function replaceGroups(text: string, pattern: RegExp, replace: (found: Groups) => string | undefined): string {
  return text.replace(pattern, (...found: unknown[]) => {
    const whole = String(found[0]);
    const groups = { ...NONE, ...(found.at(-1) as Partial<Groups>) };
    return HIDDEN.test(groups.value) ? whole : (replace(groups) ?? whole);
  });
}

function hideKeyed(kind: string, found: Groups, rules: Rules): string | undefined {
  const { before, quote, key, between, value } = found;
  if (NO_VALUES.has(value.toLowerCase().replace(/[;,]$/, ''))) return undefined;
  if (!rules.isSecret(key) && !rules.isWeak(key, unquoted(value))) return undefined;
  return `${before}${quote}${key}${between}${hideQuoted(value, { kind, name: key }, rules)}`;
}

/** `user:password` keeps its user; user information without a password is hidden on the web, where it is a token. */
function hideUserInfo({ scheme, value }: Groups, { hide }: Rules): string | undefined {
  const colon = value.indexOf(':');
  if (colon >= 0) {
    const password = value.slice(colon + 1);
    if (password === '') return undefined;
    return `${scheme}${value.slice(0, colon)}:${hide(decoded(password), { kind: 'url-password' })}@`;
  }
  if (!scheme.toLowerCase().startsWith('http')) return undefined;
  return `${scheme}${hide(decoded(value), { kind: 'url-password' })}@`;
}

function hideQuoted(value: string, why: SecretReason, rules: Rules): string {
  const inner = unquoted(value);
  if (inner === value) return hideValue(value, why, rules);
  const [start, end] = [value.slice(0, 1), value.slice(inner.length + 1)];
  return inner === '' ? value : `${start}${hideValue(inner, why, rules)}${end}`;
}

function unquoted(value: string): string {
  const quote = value[0];
  if (quote !== '"' && quote !== "'") return value;
  return value.length > 1 && value.endsWith(quote) ? value.slice(1, -1) : value.slice(1);
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
