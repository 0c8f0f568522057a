import { looksRandom } from './redact-patterns.js';
import type { Rules, SecretReason } from './redact-rules.js';

/**
 * A way in which a key and its value stand in text. `find` ends where the value begins and has the groups `before`, `quote`, `key` and
 * `between` (or some of them); `value` is tried right there, and only when the key names a secret. Both run in linear time.
 */
interface Keyed {
  readonly kind: string;
  readonly find: RegExp;
  readonly value: RegExp;
  /** `shape`: what stands there is a secret, whatever the key is. `typed`: it has to look like one besides. */
  readonly when?: 'shape' | 'typed';
}

const KEY = '(?<key>[A-Za-z_][\\w.-]{0,63})';
/** Also one whose end was cut off. */
const QUOTED = `"(?:[^"\\\\]|\\\\[\\s\\S]){0,4096}(?:"|$)|'(?:[^'\\\\]|\\\\[\\s\\S]){0,4096}(?:'|$)`;
/** Of Python: three quotes. Of a program: a letter before the quote. */
const LONG_QUOTED = '"""[\\s\\S]{0,65536}?(?:"""|$)|\'\'\'[\\s\\S]{0,65536}?(?:\'\'\'|$)';
const LETTER = '(?:[bru](?=["\']))?';

/** Where a program keeps what it was given. */
const OBJECTS = '(?:process|os|self|this|config|settings|options|args|params|req|request|ctx)\\.';
/** What a program computes is no secret: `token = next(`, `password = process.env.`. Only with space around the sign, as programs have it. */
const CODE = [
  '(?:await|new|async|function|typeof|void|delete|yield|return|class)\\s',
  '[A-Za-z_$][\\w$.]{0,127}(?:[(\\[<]|\\s(?:[?&|=!<>+*]|instanceof\\s|as\\s))',
  '[A-Za-z_$.]{1,128}[;,)][ \\t]{0,8}(?://[^\\n]{0,256})?\\r?(?:\\n|$)',
  OBJECTS,
  '/[\\^(\\[\\\\]',
].join('|');
/** The same in values that begin a line's second half: `token: z.string(),`, `secret: options.secret`. */
const CODE_VALUE = new RegExp(
  `^(?:[A-Za-z_$][\\w$]*(?:\\??\\.[A-Za-z_$][\\w$]*)*[([<]|${OBJECTS}|[A-Za-z_$]+(?:\\??\\.[A-Za-z_$]+)+[!,;]*$|[A-Za-z_$]+!?[,;]$)`,
);

/** Whether a value without quotes is an expression of a program. */
export function isCode(value: string): boolean {
  return CODE_VALUE.test(value);
}

/** `${NAME}`, `{{ name }}`: to be met as a whole, in order to be left. */
const STAND_IN = '\\$?\\{{1,2}[\\w .:-]{1,64}\\}{1,2}';

const WORD = `${QUOTED}|[^\\s"']+`;
interface Form {
  readonly kind: string;
  readonly find: string;
  readonly value: string;
  readonly when?: Keyed['when'];
  readonly flags?: string;
}
const keyed = ({ kind, find, value, when, flags = '' }: Form): Keyed => ({
  kind,
  find: new RegExp(find, `g${flags}`),
  value: new RegExp(value, `y${flags}`),
  ...(when === undefined ? {} : { when }),
});

/** Where both key and value have a form of their own, apart from the text around them. */
const STRUCTURED: readonly Keyed[] = [
  keyed({
    kind: 'flag',
    find: `(?<before>(?:^|[\\s"'\`])--?)${KEY}(?<between>[ \\t]+)`,
    value: `${QUOTED}|[^\\s"'-][^\\s"']*`,
  }),
  keyed({ kind: 'flag', find: `(?<before>(?<=\\s)/)${KEY}(?<between>[:=])`, value: WORD }),
  keyed({
    kind: 'assignment',
    find: `(?<before>(?:(?<![\\w-])-D)?)(?<quote>["']?)(?:\\b|(?<=-D))${KEY}(?<between>\\k<quote>(?:=(?![\\s>=])|\\s{0,4}:?=\\s{0,4}(?![>=~]|${CODE})|\\s{0,4}=>\\s{0,4}(?=["']))${LETTER})`,
    value: `${LONG_QUOTED}|${QUOTED}|${STAND_IN}|[^\\s"'&,;<>()\\]}\\0]+`,
  }),
  keyed({
    kind: 'assignment',
    find: ';(?<before>\\s?)(?<key>PWD)(?<between>=)',
    value: '[^;"\'\\s/~$][^;"\'\\s]*',
    when: 'shape',
    flags: 'i',
  }),
  keyed({
    kind: 'assignment',
    find: `\\b(?<before>(?:setx|ENV|setenv|SetEnv|set[ \\t]{1,4}-\\w{1,4})[ \\t]{1,8})${KEY}(?<between>[ \\t]{1,8})`,
    value: WORD,
  }),
  keyed({
    kind: 'member',
    find: `(?<quote>["'])${KEY}(?<between>\\k<quote>\\s{0,16}(?::|=>)\\s{0,16}${LETTER})`,
    value: `${QUOTED}|-?\\d[\\w.]*`,
  }),
  keyed({
    kind: 'member',
    find: `(?<quote>\\\\{1,8}["'])${KEY}(?<between>\\k<quote>\\s{0,16}[:=]\\s{0,16}(?<again>\\k<quote>))`,
    value: '(?:(?!\\\\{1,8}["\'])[^\\n]){1,4096}',
  }),
  keyed({
    kind: 'field',
    find: `(?<before>["'])${KEY}(?<between>:[ \\t]{0,4})`,
    value: '(?:[Bb]earer |[Bb]asic )?[^\\s"\']+(?=["\'])',
  }),
  keyed({
    kind: 'line',
    find: `(?<before>^[ \\t>+|-]{0,32})(?<quote>["']?)${KEY}(?<between>\\k<quote>:[ \\t]*)`,
    value: `(?:${QUOTED}|[^\\s"'/][^\\s"']*)(?=[ \\t]*(?:[ \\t]#[^\\n]*)?\\r?$)|(?:${QUOTED})(?=,[ \\t]*\\r?$)`,
    flags: 'm',
  }),
  keyed({
    kind: 'named',
    find: `\\b(?<before>(?:name|key|id)=)(?<quote>["'])${KEY}(?<between>\\k<quote>[^<>\\n]{0,200}?\\b(?:value|content)=)`,
    value: QUOTED,
  }),
  keyed({
    kind: 'named',
    find: `(?<before>^[ \\t-]{0,32}name:[ \\t]{1,8})(?<quote>["']?)${KEY}(?<between>\\k<quote>[ \\t]*\\r?\\n[ \\t]{0,32}value:[ \\t]{1,8})`,
    value: `${QUOTED}|[^\\s"'][^\\r\\n]*`,
    flags: 'm',
  }),
  keyed({
    kind: 'named',
    find: `(?<before>\\bname=")${KEY}(?<between>"[^\\r\\n]{0,200}\\r?\\n(?:[\\w-]{1,64}:[^\\r\\n]{0,400}\\r?\\n){0,4}\\r?\\n)`,
    value: '[^\\r\\n]+',
  }),
  keyed({
    kind: 'named',
    find: `(?<before>\\bvariable[ \\t]{1,4}")${KEY}(?<between>"\\s{0,4}\\{[^{}]{0,400}?\\bdefault\\s{0,8}=\\s{0,8})`,
    value: QUOTED,
  }),
  keyed({
    kind: 'element',
    find: `(?<before><(?:[\\w-]{1,32}:)?)${KEY}(?<between>(?:\\s[^<>]{0,200})?>)`,
    value: '[^<>\\s][^<>]{0,4095}(?=</)',
  }),
  keyed({
    kind: 'login',
    find: '(?<before>\\bmachine\\s{1,8}\\S{1,256}\\s{1,8}login\\s{1,8}\\S{1,256}\\s{1,8})(?<key>password)(?<between>\\s{1,8})',
    value: WORD,
    when: 'shape',
  }),
  keyed({
    kind: 'statement',
    find: '\\b(?<key>IDENTIFIED\\s{1,8}(?:WITH\\s{1,8}\\w{1,64}\\s{1,8})?BY|(?:WITH|ENCRYPTED|SET)\\s{1,8}PASSWORD(?:\\s{1,8}FOR\\s[^=;\\n]{1,80}=)?|ConvertTo-SecureString(?:\\s{1,8}-String)?)(?<between>\\s{1,8})',
    value: QUOTED,
    when: 'shape',
    flags: 'i',
  }),
];

/** In the middle of prose, of a log line, or between braces without quotes: only what nobody would write there but a secret. */
const IN_PROSE: readonly Keyed[] = [
  keyed({
    kind: 'member',
    find: `(?<before>^|[{(,:;\\s])${KEY}(?<between>[ \\t]{0,4}:[ \\t]{0,4}${LETTER})`,
    value: `${QUOTED}|[^\\s"'\`<>(){}[\\],;]{1,512}(?![(\\w])`,
    when: 'typed',
  }),
  keyed({
    kind: 'line',
    find: '^(?<before>[ \\t]{0,32})(?<key>pass|pw)(?<between>[ \\t]{0,8}=[ \\t]{0,8})',
    value: '[^\\s"\']+(?=[ \\t]*\\r?$)',
    when: 'shape',
    flags: 'm',
  }),
  keyed({
    kind: 'sentence',
    find: '\\b(?<key>password|passphrase|passcode|token|secret|api[ _-]?key)(?<between>\\s(?:is|was|to)(?::|\\s)\\s{0,2})',
    value:
      '"[^"\\s]{1,256}"|\'[^\'\\s]{1,256}\'|`[^`\\s]{1,256}`|[^\\s"\'`<>(){}[\\],;]{1,512}?(?=[.!?,;]{0,3}(?:\\s|$))',
    when: 'typed',
    flags: 'i',
  }),
];

/** Hides the values of keys that name secrets, wherever {@link Keyed} patterns find them. */
export function hideKeyed(text: string, rules: Rules): string {
  let out = text;
  for (const pattern of STRUCTURED) out = hideBy(pattern, out, rules);
  for (const pattern of IN_PROSE) out = hideBy(pattern, out, rules);
  return out;
}

function hideBy(pattern: Keyed, text: string, rules: Rules): string {
  const { find, value } = pattern;
  let out = '';
  let done = 0;
  find.lastIndex = 0;
  for (let match = find.exec(text); match !== null; match = find.exec(text)) {
    const { key = '', between = '' } = match.groups ?? {};
    const at = find.lastIndex;
    // What follows a key that is none may be a key itself.
    find.lastIndex = at - between.length;
    if (pattern.when !== 'shape' && !rules.mayBeSecret(key)) continue;
    value.lastIndex = at;
    const found = value.exec(text)?.[0] ?? '';
    const hidden = found === '' ? undefined : hiddenValue(pattern, { key, value: found }, rules);
    if (hidden === undefined) {
      if (found.length > MAX_AGAIN) find.lastIndex = at + found.length;
      continue;
    }
    out += text.slice(done, at) + hidden;
    done = at + found.length;
    find.lastIndex = done;
  }
  return done === 0 ? text : out + text.slice(done);
}

/** A value that is none is searched for keys once more; a longer one is not, which keeps the time linear. */
const MAX_AGAIN = 256;

/** What follows a key in documentation and types rather than in data; and where something begins that is looked at by itself. */
const NO_VALUES = new Set(
  (
    'string number boolean integer object null true false undefined required optional str int float bool bytes any none unknown uuid ' +
    'read write include omit same-origin { [ {{ ${ | > |- |+ >- >+ \\'
  ).split(' '),
);

/** `undefined`: it is none. */
function hiddenValue(
  { kind, when }: Keyed,
  { key, value }: { readonly key: string; readonly value: string },
  rules: Rules,
): string | undefined {
  const inner = unquoted(value);
  if (HIDDEN.test(value) || NO_VALUES.has(inner.toLowerCase().replace(/[;,]$/, ''))) return undefined;
  if (inner === value && (kind === 'line' ? isCode(value) : false)) return undefined;
  // `token: token`, as programs have it.
  if (inner.toLowerCase() === /[^.]*$/.exec(key)?.[0].toLowerCase()) return undefined;
  if (when === 'typed' && !looksTyped(value, inner)) return undefined;
  const named = rules.isSecret(key) || (when !== 'typed' && rules.isWeak(key, inner));
  if (when !== 'shape' && kind !== 'sentence' && !named) return undefined;
  return hideQuoted(value, { kind, name: key }, rules);
}

/** What an earlier pattern, or an earlier redaction, has put there is not hidden once more. */
const HIDDEN = /^["'`]?(?:(?:bearer|basic|token|digest)[ \t]+)?~redacted\.[0-9a-f]{16}~/i;

export function isHidden(value: string): boolean {
  return HIDDEN.test(value);
}

/** Names of formats and algorithms, versions, numbers and addresses have digits too. */
const TECHNICAL =
  /^(?:base|sha|md|utf|u?int|float|[rehp]s|aes|oauth|ed|ipv|iso|rfc|http|v)[-_]?\d|^[\d.,:%x-]+$|^0x|:\/\/|~redacted/i;

/** A word that somebody typed as a secret: letters and digits. In quotes also without digits, if it is no sentence. */
function looksTyped(value: string, inner: string): boolean {
  if (TECHNICAL.test(inner)) return false;
  if (inner !== value)
    return inner.length >= 4 && (/\d/.test(inner) ? !/\s\S+\s/.test(inner) : !/\s|^[A-Z]?[a-z]+$/.test(inner));
  return (inner.length >= 8 && /\d/.test(inner) && /[A-Za-z]/.test(inner)) || looksRandom(inner);
}

/** `Bearer <secret>`: the scheme stays, so that the secret is equal to the same one elsewhere. */
export function hideValue(value: string, why: SecretReason, { hide }: Pick<Rules, 'hide'>): string {
  const scheme = /^(?:bearer|basic|token|digest)[ \t]+(?=\S)/i.exec(value)?.[0];
  return scheme === undefined ? hide(value, why) : `${scheme}${hide(value.slice(scheme.length), why)}`;
}

/** Hides a value and leaves the quotes around it. */
export function hideQuoted(value: string, why: SecretReason, rules: Pick<Rules, 'hide'>): string {
  const inner = unquoted(value);
  if (inner === value) return hideValue(value, why, rules);
  const length = value.startsWith(inner, 3) && /^(?:"""|''')/.test(value) ? 3 : 1;
  const [start, end] = [value.slice(0, length), value.slice(inner.length + length)];
  return inner === '' ? value : `${start}${hideValue(inner, why, rules)}${end}`;
}

function unquoted(value: string): string {
  const long = /^(?:"""|''')/.exec(value)?.[0];
  if (long !== undefined) return value.length > 5 && value.endsWith(long) ? value.slice(3, -3) : value.slice(3);
  const quote = value[0];
  if (quote !== '"' && quote !== "'" && quote !== '`') return value;
  return value.length > 1 && value.endsWith(quote) ? value.slice(1, -1) : value.slice(1);
}
