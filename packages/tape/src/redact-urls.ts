import { isHidden } from './redact-keyed.js';
import { looksRandom } from './redact-patterns.js';
import type { Rules } from './redact-rules.js';

/** In the authority the last `@` counts, as in every reader of URLs: a password may hold others. */
const USER_INFO = /(?<scheme>[a-z][a-z0-9+.-]{0,31}:\\?\/\\?\/)(?<value>[^\s"'<>/?#\\]{1,2048})@/gi;
/** A URL in a URL. */
const ENCODED_USER_INFO = /(?<scheme>%3A%2F%2F[\w.~+-]{0,256}%3A)(?<value>[\w.~+-]{1,512})(?=%40)/gi;
const QUERY = /(?<before>[?&;#])(?<key>[\w.%[\]-]{1,64})=(?<value>[^&#;\s"'<>\\]+)/g;
const ENCODED_QUERY =
  /(?<before>%(?:25)?(?:3F|26|23))(?<key>[\w.-]{1,64}?)(?<between>%(?:25)?3D)(?<value>(?:(?!%(?:25)?(?:26|23))[^&#;\s"'<>\\])+)/gi;
/** `/reset-password/…`: one path segment names what the next one is. */
const SEGMENT = /(?<before>\/(?<key>[A-Za-z][\w-]{2,63})\/)(?<value>[\w~.=-]{20,512})(?=[/?#\s"'<>)\\]|$)/g;
const ORACLE = /(?<before>\bjdbc:oracle:\w{1,8}:[^\s"'/@]{1,128}\/)(?<value>[^\s"'@]{1,512})(?=@)/g;

interface Found {
  readonly scheme?: string;
  readonly before?: string;
  readonly key?: string;
  readonly between?: string;
  readonly value: string;
}

/** Hides user information, secret parameters (of query and fragment) and secret path segments of URLs. */
export function hideUrls(text: string, rules: Rules): string {
  let out = replaceFound(text, USER_INFO, (found) => userInfo(found, rules));
  out = replaceFound(out, ORACLE, ({ before, value }) => `${before}${rules.hide(value, { kind: 'url-password' })}`);
  if (out.includes('%')) {
    out = replaceFound(
      out,
      ENCODED_USER_INFO,
      ({ scheme, value }) => `${scheme}${rules.hide(value, { kind: 'url-password' })}`,
    );
    out = replaceFound(out, ENCODED_QUERY, (found) => parameter(found, rules, '%3D'));
  }
  out = replaceFound(out, QUERY, (found) => parameter(found, rules, '='));
  return replaceFound(out, SEGMENT, ({ before, key = '', value }) => {
    const named = /s$/i.test(key) ? false : rules.mayBeSecret(key);
    return named && looksRandom(value)
      ? `${before}${rules.hide(value, { kind: 'url-segment', name: key })}`
      : undefined;
  });
}

function parameter({ before, key = '', between, value }: Found, rules: Rules, sign: string): string | undefined {
  const name = decoded(key);
  // `?key=name` is no secret.
  if (/^(?:key|auth)$/i.test(name) && !(value.length >= 8 && /\d/.test(value))) return undefined;
  if (!rules.isSecretInQuery(name) && !rules.isWeak(name, value) && !(name === 'code' && looksRandom(value)))
    return undefined;
  return `${before}${key}${between ?? sign}${rules.hide(decoded(value), { kind: 'url-parameter', name })}`;
}

/** `user:password` keeps its user; user information without a password is hidden on the web, where it is a token. */
function userInfo({ scheme = '', value }: Found, { hide }: Rules): string | undefined {
  const colon = value.indexOf(':');
  if (colon >= 0) {
    const password = value.slice(colon + 1);
    if (password === '' || isHidden(password)) return undefined;
    return `${scheme}${value.slice(0, colon)}:${hide(decoded(password), { kind: 'url-password' })}@`;
  }
  if (!scheme.toLowerCase().startsWith('http')) return undefined;
  return `${scheme}${hide(decoded(value), { kind: 'url-password' })}@`;
}

/** Replaces what `pattern` finds by what `replace` makes of its groups; `undefined` leaves it. */
function replaceFound(text: string, pattern: RegExp, replace: (found: Found) => string | undefined): string {
  return text.replace(pattern, (...all: unknown[]) => {
    const found = all.at(-1) as unknown as Found;
    return isHidden(found.value) ? String(all[0]) : (replace(found) ?? String(all[0]));
  });
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
