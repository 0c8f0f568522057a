/**
 * Keys whose values are secrets, as words. A key matches when its last words, written together, are one of these:
 * `apiKey`, `X-Api-Key` and `MY_APIKEY` all end in `api key`.
 */
export const SECRET_KEYS: readonly string[] = [
  'password',
  'passwords',
  'passwd',
  'passphrase',
  'passcode',
  'pwd',
  'secret',
  'secrets',
  'client secret',
  'token',
  'access token',
  'auth token',
  'refresh token',
  'id token',
  'bearer token',
  'authorization',
  'credential',
  'credentials',
  'cookie',
  'cookies',
  'api key',
  'api keys',
  'access key',
  'account key',
  'secret access key',
  'private key',
  'secret key',
  'signing key',
  'encryption key',
  'mcp session id',
  'master key',
  'shared key',
  'otp',
  'cvv',
  'mnemonic',
  'seed phrase',
  // Of a Secret of Kubernetes, which says that it is one.
  'string data',
  ...'db database pg postgres mysql redis mongo mail smtp imap email ftp ssh ldap user admin root login become sudo'
    .split(' ')
    .flatMap((whose) => [`${whose} pass`, `${whose} pw`]),
];

/** Words that are secrets also at the end of a longer one: `PGPASSWORD`, `storepass`. */
const ENDINGS =
  /(?:password|passwd|passphrase|(?:store|key|trust)pass|apikey|(?:secret|private|access)key|(?:auth|access|refresh)token|clientsecret)$/;

/** Keys that are secrets beside the name of a user. */
export const BESIDE_USER: ReadonlySet<string> = new Set(['pass', 'pw', 'pin']);
export const USER_KEYS: readonly string[] = ['user', 'username', 'userName', 'login', 'email'];

/** Keys that name a secret half of the time; their value has to look like one too (`looksRandom`). */
export const WEAK_KEYS: readonly string[] = ['key', 'auth', 'pass', 'pat', 'signature', 'sig'];

/** In the query of a URL these are secrets too: signed links, and the session ids of the legacy HTTP+SSE pair. */
export const SECRET_QUERY_KEYS: readonly string[] = ['signature', 'sig', 'session id', 'auth', 'key'];

/** They end like a secret and are none: tokens that name a place in the protocol or in a list. */
const NO_SECRETS: readonly string[] = [
  'progress token',
  'next token',
  'page token',
  'continuation token',
  'sync token',
  'cancel token',
  'cancellation token',
];

/** Environment variables that hold the working directory. */
const WORKING_DIRECTORIES = new Set(['PWD', 'OLDPWD']);

const MAX_CACHED = 4096;
const MAX_CACHED_KEY = 256;
/** How many words of a key are looked at, from its end. */
const MAX_WORDS = 12;

/** Whether a key names a secret. */
export type IsSecretKey = (key: string) => boolean;

/**
 * Makes the test for a list of keys; `allowed` are keys that are none. Of several entries that a key ends with, the longest counts.
 * Remembers what it decided, for a bounded number of keys.
 */
export function secretKeys(entries: readonly string[], allowed: readonly string[] = []): IsSecretKey {
  const verdicts = new Map<string, boolean>();
  for (const entry of entries) verdicts.set(wordsOf(entry).join(''), true);
  for (const entry of [...NO_SECRETS, ...allowed]) verdicts.set(wordsOf(entry).join(''), false);
  const endings = entries.includes('password') ? ENDINGS : undefined;
  const decided = new Map<string, boolean>();
  return (key) => {
    const known = decided.get(key);
    if (known !== undefined) return known;
    const verdict =
      !WORKING_DIRECTORIES.has(key) && (judge(wordsOf(key), verdicts) ?? endings?.test(key.toLowerCase()) ?? false);
    if (decided.size < MAX_CACHED && key.length < MAX_CACHED_KEY) decided.set(key, verdict);
    return verdict;
  };
}

function judge(words: readonly string[], verdicts: ReadonlyMap<string, boolean>): boolean | undefined {
  let verdict: boolean | undefined;
  let tail = '';
  for (const word of words.slice(-MAX_WORDS).reverse()) {
    tail = word + tail;
    verdict = verdicts.get(tail) ?? verdict;
  }
  return verdict;
}

/** `clientAPIKey`, `client-api-key`, `CLIENT_API_KEY`: `client api key`, as a list. */
function wordsOf(key: string): string[] {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}

/**
 * A pattern that finds every text in which {@link secretKeys} or the patterns of free text could find something, and few
 * others: most messages are done with after one test. `\u00` is there because letters can be spelled as escapes. Each
 * beginning that no other word has makes every test slower, so the list of keys is short.
 */
export function suspicion(entries: readonly string[]): RegExp {
  const words = entries.map(wordsOf).filter((entry) => !entry.some((word) => word.startsWith('pass') || word === 'pw'));
  const keys = words.map((entry) => entry.join('[^a-z0-9"]{0,2}'));
  const shortest = keys.filter((key) => !keys.some((other) => other !== key && key.includes(other)));
  const tokens = shortest.map((key) => (key === 'token' ? '(?<!progress)token' : key));
  const rest = ['pass', 'pw(?![a-z0-9])', 'bearer\\s', 'basic\\s', '\\\\u00'];
  return new RegExp([...tokens, ...rest].join('|'), 'i');
}

const USER_INFO = /:\\*\/\\*\/[^\s"/]*@|%3a%2f%2f/i;
const QUERY = /(?:[?&;]|%26|%3f)[\w.%[\]-]{0,64}?(?:sig|session[^a-z0-9"]{0,3}id|auth|key|code)/i;
const MARKS = ['kty', 'Private-', 'jdbc:', 'IDENTIFIED', 'identified', 'SecureString', 'securestring', '\\/'];

/** The same for what free text is searched for that is no key. */
export function hasMark(text: string): boolean {
  const encoded = text.includes('%');
  if ((encoded || text.includes('@')) && USER_INFO.test(text)) return true;
  if ((encoded || text.includes('?') || text.includes('&') || text.includes(';')) && QUERY.test(text)) return true;
  return MARKS.some((mark) => text.includes(mark));
}
