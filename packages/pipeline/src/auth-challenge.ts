/** A header field that holds challenges, and the URLs of protected-resource metadata that it named. */
export interface RewrittenChallenges {
  readonly field: string;
  /** As the field had them, unquoted; empty when there were none. */
  readonly named: readonly string[];
}

/**
 * Puts `url` in the place of every `resource_metadata` parameter (RFC 9728, 5.1) of a `WWW-Authenticate` field; all else
 * stays as it is, byte for byte. The field is a list of challenges (RFC 9110, 11.6.1), each a scheme and either a token68 or
 * parameters, so commas part both challenges and parameters, and a quoted text may look like either. A value without quotes,
 * which a URL may not be, is understood, too. What follows an improper part is left alone.
 */
export function rewriteChallenges(field: string, url: string): RewrittenChallenges {
  const named: string[] = [];
  let out = '';
  let copied = 0;
  PART.lastIndex = 0;
  for (let part = PART.exec(field); part !== null; part = PART.exec(field)) {
    const [whole, name, quotedText, plain] = part;
    if (name?.toLowerCase() !== 'resource_metadata') continue;
    const value = quotedText === undefined ? plain : quotedText.replace(/\\(.)/gs, '$1');
    if (value === undefined || !/^https?:\/\//i.test(value)) continue;
    named.push(value);
    const length = quotedText === undefined ? value.length : quotedText.length + 2;
    out += `${field.slice(copied, part.index + whole.length - length)}"${url}"`;
    copied = part.index + whole.length;
  }
  return named.length === 0 ? { field, named } : { field: out + field.slice(copied), named };
}

/** One parameter, or one word (a scheme or a token68), and what parts it from the one before. */
const PART = /[\s,]*(?:([\w!#$%&'*+\-.^`|~]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|[^\s,"]+)/gsy;
