import { mayHoldBase64 } from './redact-base64.js';
import { WEAK_KEYS } from './redact-keys.js';

/** Texts that are secrets by what they look like, wherever they stand. */
export interface TokenFormat {
  /** What a finding calls it. */
  readonly kind: string;
  /** The source of a regular expression, case-sensitive, without what has to stand around it. Runs in linear time. */
  readonly source: string;
}

/**
 * Formats that issuers made to be recognised: a fixed beginning and a length that no ordinary word has. A format that could be
 * anything (32 hex digits) has no place here.
 */
export const TOKEN_FORMATS: readonly TokenFormat[] = [
  { kind: 'aws-access-key', source: 'A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}' },
  { kind: 'github-token', source: 'gh[oprsu]_[A-Za-z0-9]{36,255}|github_pat_\\w{22,255}' },
  { kind: 'gitlab-token', source: 'gl(?:pat|ptt|rt|dt|cbt|soat|agent)-[\\w-]{20,255}' },
  { kind: 'slack-token', source: 'xox[abeoprs]-[A-Za-z0-9-]{15,255}|xapp-\\d-[A-Za-z0-9-]{15,255}' },
  { kind: 'slack-webhook', source: 'hooks\\.slack\\.com/(?:services|workflows)/[\\w/]{8,64}/\\w{20,64}' },
  {
    kind: 'webhook',
    source:
      'discord(?:app)?\\.com/api/webhooks/\\d{16,21}/[\\w-]{60,80}|webhook\\.office\\.com/webhookb2/[\\w@-]{36,80}/IncomingWebhook/[a-f0-9]{32}/[a-f0-9-]{36}|hooks\\.zapier\\.com/hooks/catch/\\d{4,12}/\\w{5,16}|maker\\.ifttt\\.com/trigger/\\w{1,64}/(?:json/)?with/key/[\\w-]{16,64}',
  },
  { kind: 'telegram-token', source: '(?:bot)?\\d{8,10}:AA[\\w-]{33}' },
  {
    kind: 'password-hash',
    source: '\\$2[abxy]?\\$\\d\\d\\$[./A-Za-z0-9]{53}|\\$(?:1|5|6|y|apr1|argon2(?:id|i|d))\\$[\\w./,=$+-]{20,256}',
  },
  { kind: 'api-key', source: 'sk-[\\w-]{20,255}|gsk_\\w{40,255}|pplx-\\w{40,255}|r8_\\w{37}|hf_[A-Za-z0-9]{30,64}' },
  { kind: 'stripe-key', source: '[rs]k_(?:live|test)_\\w{16,255}|whsec_[\\w+/=]{24,255}' },
  { kind: 'google-key', source: 'AIza[\\w-]{35}|ya29\\.[\\w-]{20,2048}|GOCSPX-[\\w-]{20,64}' },
  { kind: 'package-token', source: 'npm_[A-Za-z0-9]{36}|pypi-[\\w-]{50,1024}|dckr_pat_[\\w-]{20,64}' },
  { kind: 'sendgrid-key', source: 'SG\\.[\\w-]{16,64}\\.[\\w-]{20,64}' },
  { kind: 'cloud-token', source: 'do[opr]_v1_[a-f0-9]{64}|dapi[a-f0-9]{32}|sbp_[a-f0-9]{40}|hv[bsr]\\.[\\w-]{24,255}' },
  {
    kind: 'workspace-token',
    source:
      'ntn_\\w{40,64}|lin_(?:api|oauth)_\\w{32,64}|figd_[\\w-]{30,64}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}|shp(?:at|ca|pa|ss)_[a-f0-9]{32}',
  },
  {
    kind: 'service-token',
    source: [
      'sq0(?:atp|csp)-[\\w-]{22,64}',
      'ATATT3[\\w=-]{40,300}',
      'secret_[A-Za-z0-9]{43}',
      'pul-[a-f0-9]{40}',
      '(?:[A-Za-z0-9]{14}\\.)?atlasv1\\.[\\w-]{60,80}',
      'pscale_(?:tkn|pw|oauth)_[\\w=.-]{32,64}',
      'NRAK-[A-Z0-9]{27}',
      'glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|glc_[A-Za-z0-9+/]{32,400}={0,2}',
      'dp\\.(?:pt|st|ct|sa|scim|audit)\\.[\\w.-]{40,64}',
      'sl\\.[\\w-]{60,2048}',
      'pat[A-Za-z0-9]{14}\\.[a-f0-9]{64}',
      'sntry[su]_[\\w+/=]{40,400}',
      'bkua_[a-z0-9]{40}',
      'rubygems_[a-f0-9]{48}',
      'nfp_\\w{36,64}',
      'xai-\\w{70,90}',
      'tskey-(?:auth|api|client)-[\\w-]{16,64}',
      'fm[12][ra]?_[\\w+/=]{60,2048}',
      'xkeysib-[a-f0-9]{64}-\\w{16}',
      '[\\w~.-]{3}8Q~[\\w~.-]{31,34}',
      'SK[a-f0-9]{32}|key-[a-f0-9]{32}',
    ].join('|'),
  },
  { kind: 'age-key', source: 'AGE-SECRET-KEY-1[A-Z0-9]{58}' },
  {
    kind: 'jwt',
    source:
      '(?<![\\w-])eyJ[\\w-]{10,8192}\\.[\\w-]{10,16384}\\.[\\w-]{10,8192}(?:\\.[\\w-]{1,16384}){0,2}|(?<![\\w-])eyJ[\\w-]{10,8192}\\.eyJ[\\w-]{10,16384}\\.',
  },
];

const PEM_NAME = '(?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)? ?-{4,5}';
/** A PEM or PGP private key, also one whose end was cut off, or whose line breaks are spelled `\n`. */
export const PRIVATE_KEY = new RegExp(
  `-{4,5} ?BEGIN ${PEM_NAME}(?:(?:(?!-{4,5} ?(?:BEGIN|END))[\\s\\S]){0,65536}-{4,5} ?END ${PEM_NAME}|[\\w+/=\\s\\\\:,"-]{0,65536})`,
  'g',
);

const FORMATS = new RegExp(`(?<![A-Za-z0-9])(?:${TOKEN_FORMATS.map(({ source }) => source).join('|')})`);

/** A weak key with a value that may be random. */
const WEAK = new RegExp(`(?:${WEAK_KEYS.join('|')})["'=: \\\\\\t]{1,8}[\\w+/=.~-]{20}`, 'i');

/** Every format has so many of its characters in a row, and not only small letters; so has every random value, with three digits. */
const MIN_RUN = 20;
const MIN_DIGITS = 3;
const SMALL = 1;
const OTHER = 2;
const DIGIT = 3;
/** Of random values only. */
const MARK = 4;
const RUN = new Uint8Array(128);
for (let code = 0; code < RUN.length; code += 1) {
  const char = String.fromCharCode(code);
  RUN[code] = /[a-z]/.test(char)
    ? SMALL
    : /\d/.test(char)
      ? DIGIT
      : /[\w-]/.test(char)
        ? OTHER
        : /[+/=.~]/.test(char)
          ? MARK
          : 0;
}

/**
 * Whether one of {@link TOKEN_FORMATS}, or a random value beside a weak key, is in the text, whatever surrounds it. Most texts have
 * no run that is long enough, which a look at every twentieth character tells; an expression with all formats takes ten times as long.
 */
export function holdsToken(text: string): boolean {
  let past = 0;
  for (let at = MIN_RUN - 1; at < text.length; at += MIN_RUN) {
    if (kindAt(text, at) === 0) {
      past = at + 1;
      continue;
    }
    let start = at;
    while (start > past && kindAt(text, start - 1) !== 0) start -= 1;
    let end = at + 1;
    while (end < text.length && kindAt(text, end) !== 0) end += 1;
    if (end - start >= MIN_RUN && isUnusual(text, start, end) && isToken(text, start, end)) return true;
    past = end;
    at = end;
  }
  return false;
}

/** What a format has before and behind its longest run, at most. */
const AROUND = 128;

function isToken(text: string, start: number, end: number): boolean {
  const part = text.slice(Math.max(0, start - AROUND), end + AROUND);
  return FORMATS.test(part) || WEAK.test(part) || mayHoldBase64(part);
}

function kindAt(text: string, at: number): number {
  return RUN[text.charCodeAt(at)] ?? 0;
}

/** Whether a run has what a token or a random value has. */
function isUnusual(text: string, start: number, end: number): boolean {
  let run = 0;
  let notSmall = false;
  let digits = 0;
  for (let at = start; at < end; at += 1) {
    const kind = kindAt(text, at);
    run = kind === MARK ? 0 : run + 1;
    notSmall = run > 0 && (notSmall || kind !== SMALL);
    if (kind === DIGIT) digits += 1;
    if (digits >= MIN_DIGITS || (run >= MIN_RUN && notSmall)) return true;
  }
  return false;
}

/** All formats in one expression; the group that took part says which it was. */
export const TOKENS = new RegExp(
  `(?<![A-Za-z0-9])(?:${TOKEN_FORMATS.map(({ source }) => `(${source})`).join('|')})`,
  'g',
);

/**
 * A value that nobody types: no words, letters and digits in turns. Only good beside a key that speaks of a secret half of the time
 * (`key`, `auth`): ids, hashes and versions look the same.
 */
export function looksRandom(value: string): boolean {
  if (!/^[\w+/=.~-]{20,4096}$/.test(value) || UUID.test(value)) return false;
  const digits = value.match(/\d/g)?.length ?? 0;
  const turns = value.match(/[A-Za-z](?=\d)|\d(?=[A-Za-z])|[a-z](?=[A-Z])/g)?.length ?? 0;
  return digits >= 3 && turns >= 4 && turns * 8 >= value.length;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** What stands where a secret will be, or was: `${TOKEN}`, `<your key>`, `{{ key }}`, `****`. Hiding it would only hide the name. Versions and relative paths, as packages have them. */
export function standsForSecret(value: string): boolean {
  return STAND_INS.test(value);
}

const STAND_INS =
  /^(?:\$\{\{[\w .-]{1,64}\}\}|\$\{[\w.:-]{1,64}\}|\$[A-Z][A-Z0-9_]{1,63}|%[A-Z][A-Z0-9_]{1,63}%|<[\w .-]{1,64}>|\{\{[\w .-]{1,64}\}\}|\[?redacted\]?|[*•]{3,64}|[xX]{4,64}|\.{3}|…|your[ _-][\w -]{1,40}|[~^]?\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[\w.]{1,32})?|\.{1,2}\/[\w./@-]{1,200})$/i;
