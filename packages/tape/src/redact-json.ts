import { type JsonNode, type JsonObjectNode, jsonTree, memberOf, stringOf } from './json-tree.js';
import { KeyLines } from './key-lines.js';
import { pointerStep } from './pointer.js';
import { hideBase64, isTextual, redactBase64 } from './redact-base64.js';
import { ArgumentWords } from './redact-commands.js';
import { hideValue } from './redact-keyed.js';
import { BESIDE_USER, USER_KEYS } from './redact-keys.js';
import type { Rules, SecretReason } from './redact-rules.js';
import { hideShapes, PRIVATE, redactFreeText } from './redact-text.js';

/** Strings in strings in strings: beyond this many levels the whole string is a secret. */
const MAX_NESTING = 12;
/** One redaction can bring to light what another one finds; more rounds than this were never seen to be needed. */
const MAX_ROUNDS = 4;

/** What walks through one text share: the rules, and where they are in it. */
export interface Walk {
  readonly rules: Rules;
  /** The way to the present value; kept for those who want to know where secrets are. */
  readonly trail: string[];
}

/** Where a JSON text stands. */
interface Standing {
  /** In so many strings. */
  readonly nesting: number;
  /** Why all of it is a secret. */
  readonly secret?: SecretReason | undefined;
}

/** Redacts JSON text. Throws `ProxyError('parse_error')` when it is none, or nested too deep. */
export function redactJson(text: string, walk: Walk, standing: Standing = { nesting: 0 }): string {
  const walker = new Walker(text, walk, standing.nesting);
  walker.value(jsonTree(text), standing.secret);
  return walker.result();
}

/** Redacts a string's content: JSON as JSON, wherever it begins in a line; the rest by patterns. */
export function redactString(content: string, walk: Walk, nesting: number): string {
  if (nesting >= MAX_NESTING) return walk.rules.hide(content, { kind: 'nested-too-deep' });
  let out = content;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const before = out;
    out = redactOnce(before, walk, nesting);
    if (out === before) break;
  }
  return out;
}

function redactOnce(content: string, walk: Walk, nesting: number): string {
  if (/^\s*[[{"]/.test(content)) {
    const whole = attempt(content, walk, { nesting });
    if (whole !== undefined) return whole;
  }
  const lines = /[[{]\s*["{[]/.test(content) ? redactLines(content, walk, nesting) : content;
  const decoded = hideBase64(lines, (inner) => redactString(inner, walk, nesting + 1));
  return redactFreeText(decoded, walk.rules);
}

/** `undefined`: it is no JSON. */
function attempt(text: string, walk: Walk, standing: Standing): string | undefined {
  const { length } = walk.trail;
  walk.trail.push('#');
  try {
    return redactJson(text, walk, { ...standing, nesting: standing.nesting + 1 });
  } catch {
    return undefined;
  } finally {
    walk.trail.length = length;
  }
}

/** Beyond this a line is not searched for JSON that begins in its middle. */
const MAX_EMBEDDED = 1_048_576;

/** Lines of a log: `2026-11-21 request {"token": "…"} sent`. */
function redactLines(content: string, walk: Walk, nesting: number): string {
  return content
    .split('\n')
    .map((line) => {
      const start = line.search(/[[{]\s*["{[]/);
      const end = Math.max(line.lastIndexOf('}'), line.lastIndexOf(']')) + 1;
      if (start < 0 || end <= start || end - start > MAX_EMBEDDED) return line;
      const before = line.slice(0, start);
      const redacted = attempt(line.slice(start, end), walk, { nesting, secret: secretBefore(before, walk.rules) });
      return redacted === undefined ? line : `${before}${redacted}${line.slice(end)}`;
    })
    .join('\n');
}

/** `credentials = {…}`: the key stands in front of the JSON. */
function secretBefore(before: string, rules: Rules): SecretReason | undefined {
  const key = /([A-Za-z_][\w.-]{0,63})["']?\s{0,4}[=:]\s{0,4}$/.exec(before.slice(-80))?.[1];
  return key !== undefined && rules.isSecret(key) ? { kind: 'key', name: key } : undefined;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Walks one JSON text and collects what to replace. */
class Walker {
  readonly #text: string;
  readonly #walk: Walk;
  readonly #rules: Rules;
  readonly #nesting: number;
  readonly #edits: Edit[] = [];

  constructor(text: string, walk: Walk, nesting: number) {
    this.#text = text;
    this.#walk = walk;
    this.#rules = walk.rules;
    this.#nesting = nesting;
  }

  /** `secret`: why everything below is one. */
  value(node: JsonNode, secret: SecretReason | undefined): void {
    if (node.kind === 'object') this.#object(node, secret);
    else if (node.kind === 'array') this.#array(node.items, secret);
    else if (node.kind === 'string') this.#string(node, secret);
    else if (node.kind === 'number' && secret !== undefined)
      this.#hide(node, this.#text.slice(node.start, node.end), secret);
  }

  result(): string {
    if (this.#edits.length === 0) return this.#text;
    let out = '';
    let at = 0;
    for (const edit of this.#edits) {
      out += this.#text.slice(at, edit.start) + edit.text;
      at = edit.end;
    }
    return out + this.#text.slice(at);
  }

  #at(step: string | number, work: () => void): void {
    const { trail } = this.#walk;
    trail.push(`/${typeof step === 'number' ? step : pointerStep(step)}`);
    work();
    trail.pop();
  }

  #object(node: JsonObjectNode, secret: SecretReason | undefined): void {
    const named = this.#secretByName(node);
    const own = this.#ownSecrets(node);
    const program = this.#textOf(memberOf(node, 'command') ?? memberOf(node, 'cmd'));
    const blob = this.#textualBlob(node);
    for (const { key, name, value } of node.members) {
      this.#at(key, () => {
        this.#key(key, name);
        if (SCHEMA_MAPS.has(key) && value.kind === 'object' && secret === undefined) this.#schemaProperties(value);
        else if (value === blob && secret === undefined) this.#blob(value);
        else if (value.kind === 'array' && program !== undefined && secret === undefined && !this.#rules.isSecret(key))
          this.#array(value.items, undefined, program);
        else this.value(value, secret ?? this.#secretKey(key, value, own) ?? (key === 'value' ? named : undefined));
      });
    }
  }

  /** Keys that are secrets because of what stands beside them: a user, the type of a JWK (RFC 7517), the kind of a Kubernetes object. */
  #ownSecrets(node: JsonObjectNode): ReadonlySet<string> | undefined {
    if (memberOf(node, 'kty') !== undefined) return JWK_SECRETS;
    if (this.#textOf(memberOf(node, 'kind')) === 'Secret') return KUBERNETES_SECRETS;
    return USER_KEYS.some((key) => memberOf(node, key)?.kind === 'string') ? BESIDE_USER : undefined;
  }

  #secretKey(key: string, value: JsonNode, own?: ReadonlySet<string>): SecretReason | undefined {
    const secret =
      this.#rules.isSecret(key) ||
      own?.has(key) === true ||
      (value.kind === 'string' && this.#rules.isWeak(key, stringOf(this.#text, value)));
    return secret ? { kind: 'key', name: key } : undefined;
  }

  /** A token can be a key itself. */
  #key(key: string, name: JsonNode): void {
    const hidden = this.#rules.suspicious(key) ? hideShapes(key, this.#rules) : key;
    if (hidden !== key) this.#replace(name, hidden);
  }

  /** `{"name": "password", "value": "…"}`, as forms and header lists have it. */
  #secretByName(node: JsonObjectNode): SecretReason | undefined {
    const name = this.#textOf(memberOf(node, 'name') ?? memberOf(node, 'key'));
    return name !== undefined && this.#rules.isSecret(name) ? { kind: 'key', name } : undefined;
  }

  /** `{"mimeType": "text/plain", "blob": "…"}`, as resources have it: text all the same. */
  #textualBlob(node: JsonObjectNode): JsonNode | undefined {
    const blob = memberOf(node, 'blob');
    const type = blob?.kind === 'string' ? this.#textOf(memberOf(node, 'mimeType')) : undefined;
    return type !== undefined && isTextual(type) ? blob : undefined;
  }

  #textOf(node: JsonNode | undefined): string | undefined {
    return node?.kind === 'string' ? stringOf(this.#text, node) : undefined;
  }

  #blob(node: JsonNode): void {
    const data = stringOf(this.#text, node);
    const redacted = redactBase64(data, (text) => redactString(text, this.#walk, this.#nesting + 1));
    if (redacted !== data) this.#replace(node, redacted);
  }

  /** A JSON Schema that describes a secret is none; the examples and defaults in it may be. */
  #schemaProperties(properties: JsonObjectNode): void {
    for (const { key, name, value } of properties.members) {
      this.#at(key, () => {
        this.#key(key, name);
        const why = this.#secretKey(key, value);
        if (why === undefined || !looksLikeSchema(value)) {
          this.value(value, why);
          return;
        }
        for (const member of value.members) {
          this.#at(member.key, () => this.value(member.value, holdsValue(member.key, member.value) ? why : undefined));
        }
      });
    }
  }

  /**
   * `["--token", "abc"]`: an argument vector hides the word after the flag; `["Cookie", "a=b"]`: a list of fields the one after the
   * name; a list of lines the lines of a private key.
   */
  #array(items: readonly JsonNode[], secret: SecretReason | undefined, program?: string): void {
    let before: SecretReason | undefined;
    let lines: KeyLines | undefined;
    const words = new ArgumentWords(program);
    for (const [index, item] of items.entries()) {
      const text = item.kind === 'string' ? stringOf(this.#text, item) : '';
      if (text.includes('-----BEGIN ')) lines ??= new KeyLines();
      const ofKey = lines?.isInside('', text) === true ? PRIVATE : undefined;
      const why = secret ?? ofKey ?? (text.startsWith('-') ? undefined : before);
      this.#at(index, () => {
        const word = why === undefined ? words.hide(text, this.#rules) : text;
        if (word === text) this.value(item, why);
        else this.#replace(item, word);
      });
      before = this.#announces(text, items.length === 2 && index === 0);
    }
  }

  #announces(text: string, pair: boolean): SecretReason | undefined {
    if (text === '' || text.length > 80 || !this.#rules.isSecret(text)) return undefined;
    if (/^--?[A-Za-z][\w-]*$/.test(text)) return { kind: 'flag', name: text };
    if (HEADER_NAME.test(text) || (pair && /^[\w.-]+$/.test(text))) return { kind: 'key', name: text };
    return undefined;
  }

  #string(node: JsonNode, secret: SecretReason | undefined): void {
    const content = stringOf(this.#text, node);
    if (secret !== undefined) {
      if (content !== '') this.#hide(node, content, secret);
      return;
    }
    if (!this.#rules.suspicious(content)) return;
    const redacted = redactString(content, this.#walk, this.#nesting);
    if (redacted !== content) this.#replace(node, redacted);
  }

  #hide(node: JsonNode, content: string, why: SecretReason): void {
    const hidden = hideValue(content, why, this.#rules);
    if (hidden !== content) this.#replace(node, hidden);
  }

  #replace(node: JsonNode, content: string): void {
    this.#edits.push({ start: node.start, end: node.end, text: JSON.stringify(content) });
  }
}

const JWK_SECRETS: ReadonlySet<string> = new Set(['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']);
const KUBERNETES_SECRETS: ReadonlySet<string> = new Set(['data', 'stringData']);
const HEADER_NAME = /^(?:(?:proxy-)?authorization|(?:set-)?cookie|x-api-key)$/i;

/** Members of a schema, or beside schemas, whose members are schemas. */
const SCHEMA_MAPS = new Set(['properties', 'patternProperties', 'dependentSchemas', 'definitions', '$defs', 'schemas']);
/** Members of a schema that hold values of what it describes. */
const SAMPLES = new Set(['default', 'const', 'enum', 'example', 'examples']);
/** Members of a schema whose strings describe; a string under any other name could be the value itself. */
const DESCRIPTIONS = new Set(['type', '$ref', 'title', 'description', 'format', 'pattern', '$comment', 'x-mcp-header']);
const SCHEMA_KEYS = [
  ...SAMPLES,
  ...DESCRIPTIONS,
  'anyOf',
  'oneOf',
  'allOf',
  'properties',
  'required',
  'items',
  'if',
  'not',
  'patternProperties',
];

function holdsValue(key: string, value: JsonNode): boolean {
  return SAMPLES.has(key) || (value.kind === 'string' && !DESCRIPTIONS.has(key));
}

function looksLikeSchema(node: JsonNode): node is JsonObjectNode {
  if (node.kind !== 'object') return false;
  return node.members.length === 0 || node.members.some((member) => SCHEMA_KEYS.includes(member.key));
}
