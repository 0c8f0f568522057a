import { isBasic } from './redact-base64.js';
import { hideBlocks } from './redact-blocks.js';
import { hideCommands } from './redact-commands.js';
import { hideKeyed, hideValue, isCode, isHidden } from './redact-keyed.js';
import { holdsToken, PRIVATE_KEY, TOKEN_FORMATS, TOKENS } from './redact-patterns.js';
import type { Rules, SecretReason } from './redact-rules.js';
import { hideUrls } from './redact-urls.js';

const HEADER =
  /\b(?<before>(?<key>(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|mcp-session-id)["']?(?:\s{0,4}:\s{0,4}|=(?!=))["'`]?)(?<value>(?:[^\r\n"'`\\]|(?<==)"[^"\r\n\\]*")+)/gi;
/** What stands there in programs and documentation. */
const NO_FIELD = /^(?:undefined|null|true|false|string|required|optional)\b|^[^A-Za-z0-9~]*$/;
const SCHEME =
  /\b(?<before>(?:[Bb]earer|BEARER|[Bb]asic|BASIC)[ \t]+)(?<value>(?=[\w.~+/-]*(?:\d|[a-z][A-Z]))[\w.~+/-]{8,}=*)/g;

/**
 * Hides secrets in text that is no JSON: private keys, user information and query parameters of URLs, header lines, `Bearer …`,
 * `--flag value`, `NAME=value`, `"name": "value"`, `"name: value"`, lines `name: value`, tokens of known formats, and what the project said.
 */
export function redactFreeText(text: string, rules: Rules): string {
  let out = text.includes('PRIVATE KEY') ? text.replace(PRIVATE_KEY, (key) => rules.hide(key, PRIVATE)) : text;
  out = hideUrls(out, rules);
  out = replaceGroups(out, HEADER, ({ before, key, value }) => {
    return rules.isSecret(key) && !isCode(value) && !NO_FIELD.test(value)
      ? `${before}${hideValue(value.trim(), { kind: 'header', name: key }, rules)}`
      : undefined;
  });
  out = replaceGroups(out, SCHEME, ({ before, value }) => {
    const scheme = before.trim();
    if (/^basic$/i.test(scheme) && !isBasic(value)) return undefined;
    return `${before}${rules.hide(value, { kind: 'credential', name: scheme })}`;
  });
  out = hideBlocks(hideCommands(out, rules), rules);
  return hideShapes(hideKeyed(out, rules), rules);
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
  return outsidePlaceholders(text, (part) => {
    let out = '';
    let done = 0;
    for (const match of part.matchAll(pattern)) {
      const [start, end] = (match[1] ? match.indices?.[1] : undefined) ?? [match.index, match.index + match[0].length];
      // Looking around, a pattern may point at what was hidden before.
      if (start === end || start < done) continue;
      out += part.slice(done, start) + rules.hide(part.slice(start, end), { kind: 'pattern', name: pattern.source });
      done = end;
    }
    return done === 0 ? part : out + part.slice(done);
  });
}

/** What a project's pattern may match is not in our hands: placeholders are kept out of its reach. */
function outsidePlaceholders(text: string, replace: (part: string) => string): string {
  if (!text.includes('~redacted.')) return replace(text);
  return text
    .split(/(~redacted\.[0-9a-f]{16}~)/)
    .map((part, at) => (at % 2 === 1 ? part : replace(part)))
    .join('');
}

/** The named groups of a match; those that a pattern has not are empty. */
type Groups = Readonly<Record<'before' | 'key' | 'value', string>>;
const NONE: Groups = { before: '', key: '', value: '' };

/** Replaces what `pattern` finds by what `replace` makes of its groups; `undefined` leaves it. */
function replaceGroups(text: string, pattern: RegExp, replace: (found: Groups) => string | undefined): string {
  return text.replace(pattern, (...found: unknown[]) => {
    const whole = String(found[0]);
    const groups = { ...NONE, ...(found.at(-1) as Partial<Groups>) };
    return isHidden(groups.value) ? whole : (replace(groups) ?? whole);
  });
}
