import { ProxyError } from '@shadowcat/kernel';
import { secretValues } from '../redact-known.js';
import { percentDecoded, queryOf } from '../url-query.js';
import type { ImportedExchange } from './imported.js';

/** Each is looked for in each message. */
const MAX_SECRETS = 5000;
/** Shorter values of cookies may be words of ordinary text, such as `dark`. */
const MIN_COOKIE = 12;

/**
 * What is secret of how exchanges were sent: values of header fields and of cookies, of the query and the user in a URL. None of these is on a
 * tape; where a message repeats one it is to be hidden too. Throws `tape_invalid` when there are too many to look for.
 */
export function trafficSecrets(exchanges: readonly ImportedExchange[]): string[] {
  const secrets = new Set<string>();
  const urls = new Set<string>();
  for (const { url, headers, response } of exchanges) {
    urls.add(url);
    for (const [name, value] of [headers, response?.headers ?? {}].flatMap((fields) => Object.entries(fields))) {
      const values = value === undefined ? [] : typeof value === 'string' ? [value] : value;
      for (const one of values) {
        const found = name.endsWith('cookie') ? cookieSecrets(one) : secretValues({ [name]: one });
        for (const secret of found) secrets.add(secret);
      }
    }
  }
  for (const url of urls) for (const secret of urlSecrets(url)) secrets.add(secret);
  if (secrets.size > MAX_SECRETS)
    throw new ProxyError(
      'tape_invalid',
      `its headers, cookies and URLs have ${secrets.size} different secrets: ${MAX_SECRETS} are looked for at most; import it in parts`,
    );
  return [...secrets];
}

/** Of `Cookie` and `Set-Cookie` alike: what stands beside a name, as it is and as it reads. */
function cookieSecrets(field: string): string[] {
  return field.split(';').flatMap((pair) => {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(equals, 0)).trim();
    if (equals < 0 || ATTRIBUTES.has(name.toLowerCase())) return [];
    const value = pair
      .slice(equals + 1)
      .trim()
      .replace(/^"|"$/g, '');
    const values = [...new Set([value, percentDecoded(value)])];
    return values.filter((it) => it.length >= MIN_COOKIE || secretValues({ [name]: it }).length > 0);
  });
}

/** Of `Set-Cookie` (RFC 6265, 4.1.1). */
const ATTRIBUTES: ReadonlySet<string> = new Set(['expires', 'max-age', 'domain', 'path', 'samesite', 'priority']);

function urlSecrets(text: string): string[] {
  if (!URL.canParse(text)) return [];
  const { search, password } = new URL(text);
  const query = queryOf(search).flatMap(({ name, value }) => secretValues({ [name]: value }));
  return password === '' ? query : [...query, percentDecoded(password)];
}
