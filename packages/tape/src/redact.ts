import { type JsonNode, type JsonObjectNode, jsonTree, memberOf, stringOf } from './json-tree.js';
import { type IsSecretKey, SECRET_KEYS, SECRET_QUERY_KEYS, secretKeys, suspicion } from './redact-keys.js';
import { redactFreeText, type TextRules } from './redact-text.js';

/** Keyed hash of a text (HMAC-SHA-256 with the project's key), as at least 16 hex digits. */
export type Hmac = (text: string) => string;

export interface RedactionOptions {
  /** More keys whose values are secrets, beside {@link SECRET_KEYS}. */
  readonly keys?: readonly string[];
}

/**
 * Replaces secrets by placeholders, so that equal secrets stay equal and nobody without the key can tell which they were.
 * Everything else keeps its text. Idempotent: what is a placeholder stays as it is, so an answer that was recorded
 * redacted can be given back to the replay that served it.
 */
export interface Redactor {
  /** Names the rules, for the tape's head. */
  readonly policy: string;
  json(text: string): string;
  /** Text of any other kind. */
  text(text: string): string;
  /** The value of a header field. */
  header(name: string, value: string): string;
  /** Hides values that are secrets wherever they occur, such as the ids of sessions. In JSON text too. */
  known(text: string, values: readonly string[]): string;
}

/** Strings in strings in strings: beyond this many levels the whole string is a secret. */
const MAX_NESTING = 12;
const PLACEHOLDER = /^~redacted\.[0-9a-f]{16}~$/;
/** Known values shorter than this could be words of ordinary text. */
const MIN_KNOWN = 12;
/** What JSON spells as it is. */
const PLAIN = /^[\w.~-]*$/;

/** Whether a text holds a placeholder; what a missing key can then explain. */
export function hasPlaceholder(text: string): boolean {
  return /~redacted\.[0-9a-f]{16}~/.test(text);
}

export function createRedactor(options: RedactionOptions, hmac: Hmac): Redactor {
  const keys = [...SECRET_KEYS, ...(options.keys ?? [])];
  const hide = (value: string): string => (PLACEHOLDER.test(value) ? value : `~redacted.${hmac(value).slice(0, 16)}~`);
  const isSecret = secretKeys(keys);
  const rules: TextRules = { isSecret, isSecretInQuery: secretKeys([...keys, ...SECRET_QUERY_KEYS]), hide };
  const suspicious = suspicion(keys);
  const redaction: Redaction = { rules, suspicious };
  return {
    policy: options.keys === undefined || options.keys.length === 0 ? 'default@1' : 'default@1+keys',
    json: (text) => (suspicious.test(text) ? redactJson(text, redaction, 0) : text),
    text: (text) => (suspicious.test(text) ? redactString(text, redaction, 0) : text),
    known: (text, values) => (values.length === 0 ? text : hideKnown(text, values, hide)),
    header: (name, value) => {
      if (isSecret(name)) return hide(value);
      return suspicious.test(value) ? redactFreeText(value, rules) : value;
    },
  };
}

interface Redaction {
  readonly rules: TextRules;
  readonly suspicious: RegExp;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

function redactJson(text: string, redaction: Redaction, nesting: number): string {
  const walker = new Walker(text, redaction, nesting);
  walker.value(jsonTree(text), false);
  return walker.result();
}

/** A string's content: JSON is redacted as JSON, the rest by patterns. */
function redactString(content: string, redaction: Redaction, nesting: number): string {
  if (nesting >= MAX_NESTING) return redaction.rules.hide(content);
  if (/^\s*[[{"]/.test(content)) {
    try {
      return redactJson(content, redaction, nesting + 1);
    } catch {
      // No JSON after all.
    }
  }
  return redactFreeText(content, redaction.rules);
}

/** Walks one JSON text and collects what to replace. */
class Walker {
  readonly #text: string;
  readonly #redaction: Redaction;
  readonly #nesting: number;
  readonly #edits: Edit[] = [];

  constructor(text: string, redaction: Redaction, nesting: number) {
    this.#text = text;
    this.#redaction = redaction;
    this.#nesting = nesting;
  }

  value(node: JsonNode, secret: boolean): void {
    if (node.kind === 'object') this.#object(node, secret);
    else if (node.kind === 'array') this.#array(node.items, secret);
    else if (node.kind === 'string') this.#string(node, secret);
    else if (node.kind === 'number' && secret) this.#hide(node, this.#text.slice(node.start, node.end));
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

  #object(node: JsonObjectNode, secret: boolean): void {
    const { isSecret } = this.#redaction.rules;
    const named = this.#secretByName(node, isSecret);
    for (const { key, value } of node.members) {
      if (key === 'properties' && value.kind === 'object' && !secret) this.#schemaProperties(value, isSecret);
      else this.value(value, secret || isSecret(key) || (named && key === 'value'));
    }
  }

  /** `{"name": "password", "value": "…"}`, as forms and header lists have it. */
  #secretByName(node: JsonObjectNode, isSecret: IsSecretKey): boolean {
    const name = memberOf(node, 'name') ?? memberOf(node, 'key');
    return name?.kind === 'string' && isSecret(stringOf(this.#text, name));
  }

  /** A JSON Schema that describes a secret is none; the examples and defaults in it may be. */
  #schemaProperties(properties: JsonObjectNode, isSecret: IsSecretKey): void {
    for (const { key, value } of properties.members) {
      if (!isSecret(key) || !looksLikeSchema(value)) this.value(value, isSecret(key));
      else for (const member of value.members) this.value(member.value, holdsValue(member.key, member.value));
    }
  }

  /** `["--token", "abc"]`: an argument vector hides the word after the flag. */
  #array(items: readonly JsonNode[], secret: boolean): void {
    let afterFlag = false;
    for (const item of items) {
      const text = item.kind === 'string' ? stringOf(this.#text, item) : '';
      this.value(item, secret || (afterFlag && !text.startsWith('-')));
      afterFlag = /^--?[A-Za-z][\w-]*$/.test(text) && this.#redaction.rules.isSecret(text);
    }
  }

  #string(node: JsonNode, secret: boolean): void {
    const content = stringOf(this.#text, node);
    if (secret) {
      if (content !== '') this.#hide(node, content);
      return;
    }
    if (!this.#redaction.suspicious.test(content)) return;
    const redacted = redactString(content, this.#redaction, this.#nesting);
    if (redacted !== content) this.#replace(node, redacted);
  }

  #hide(node: JsonNode, content: string): void {
    const hidden = this.#redaction.rules.hide(content);
    if (hidden !== content) this.#replace(node, hidden);
  }

  #replace(node: JsonNode, content: string): void {
    this.#edits.push({ start: node.start, end: node.end, text: JSON.stringify(content) });
  }
}

/** Members of a schema that hold values of what it describes. */
const SAMPLES = new Set(['default', 'const', 'enum', 'example', 'examples']);
/** Members of a schema whose strings describe; a string under any other name could be the value itself. */
const DESCRIPTIONS = new Set(['type', '$ref', 'title', 'description', 'format', 'pattern', '$comment', 'x-mcp-header']);
const SCHEMA_KEYS = [...SAMPLES, ...DESCRIPTIONS, 'anyOf', 'oneOf', 'allOf'];

function holdsValue(key: string, value: JsonNode): boolean {
  return SAMPLES.has(key) || (value.kind === 'string' && !DESCRIPTIONS.has(key));
}

function looksLikeSchema(node: JsonNode): node is JsonObjectNode {
  if (node.kind !== 'object') return false;
  return node.members.length === 0 || node.members.some((member) => SCHEMA_KEYS.includes(member.key));
}

function hideKnown(text: string, known: readonly string[], hide: (value: string) => string): string {
  let result = text;
  for (const value of known) {
    if (value.length < MIN_KNOWN) continue;
    const spelled = PLAIN.test(value) ? value : JSON.stringify(value).slice(1, -1);
    if (result.includes(spelled)) result = result.replaceAll(spelled, hide(value));
    if (spelled !== value && result.includes(value)) result = result.replaceAll(value, hide(value));
  }
  return result;
}
