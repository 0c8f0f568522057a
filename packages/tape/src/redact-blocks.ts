import { isHidden } from './redact-keyed.js';
import type { Rules, SecretReason } from './redact-rules.js';

/** A key of YAML, TOML or the like whose value is on the lines below it. */
const OPENING =
  /^(?<indent>[ \t]{0,64}(?:- )?)(?<quote>["']?)(?<key>[A-Za-z_][\w.-]{0,63})\k<quote>:[ \t]{0,8}(?<scalar>[|>][+-]?\d?[+-]?)?[ \t]{0,8}(?:#.*)?\r?$/;
const LINE =
  /^(?<indent>[ \t]*)(?<dash>(?:- +)*)(?:(?<name>["']?[\w.-]{1,64}["']?)(?<colon>:[ \t]+))?(?<value>.*?)(?<end>[ \t]*\r?)$/;
/** What a map below a secret's name has when it describes, or only refers to, a secret. */
const DESCRIBES =
  /^["']?(?:name|type|description|title|format|\$?ref|required|enabled|secretName|secretKeyRef|valueFrom|key|file|external|env|path|default)["']?$/i;
/** The longest block that is looked at, in lines. */
const MAX_BLOCK = 1000;

/** PuTTY's private keys; the other formats say `PRIVATE KEY`. */
const PUTTY =
  /(?<before>\bPrivate-(?:Lines: \d{1,4}\r?\n|MAC: ))(?<value>(?:[A-Za-z0-9+/=]{1,128}(?:\r?\n|$)){1,250})/g;

/** Whether the key of a line names a secret that stands on the lines below. */
export function opensBlock(line: string, isSecret: (key: string) => boolean): boolean {
  if (line.length > 256 || !/:[ \t]*[|>]?/.test(line)) return false;
  const key = OPENING.exec(line)?.groups?.['key'];
  return key !== undefined && isSecret(key);
}

/** Hides what stands below a key instead of beside it: block scalars, lists and maps of YAML. */
export function hideBlocks(text: string, rules: Rules): string {
  const out = text.includes('Private-') ? hidePutty(text, rules) : text;
  if (!/:[ \t]{0,8}(?:[|>][+\-\d]{0,2}[ \t]{0,8}|#[^\n]{0,256})?\r?\n/.test(out)) return out;
  const lines = out.split('\n');
  const shown: string[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const opening = lines[at] ?? '';
    shown.push(opening);
    if (!opensBlock(opening, rules.isSecret)) continue;
    const { indent = '', key = '', scalar } = OPENING.exec(opening)?.groups ?? {};
    const end = blockEnd(lines, at + 1, { indent: indent.length, scalar: scalar !== undefined });
    const why = { kind: 'block', name: key };
    const block = lines.slice(at + 1, end);
    const hidden = scalar === undefined ? hideNested(block, why, rules) : hideScalar(block, why, rules);
    if (hidden === undefined) continue;
    shown.push(...hidden);
    at = end - 1;
  }
  return shown.join('\n');
}

function hidePutty(text: string, { hide }: Rules): string {
  return text.replace(PUTTY, (...found: unknown[]) => {
    const { before, value } = found.at(-1) as { before: string; value: string };
    const lines = value.trimEnd();
    return `${before}${hide(lines, { kind: 'private-key' })}${value.slice(lines.length)}`;
  });
}

/** The lines that are indented deeper; those of a list may be as deep as its key. */
function blockEnd(
  lines: readonly string[],
  from: number,
  key: { readonly indent: number; readonly scalar: boolean },
): number {
  let end = from;
  for (let at = from; at < lines.length && at - from < MAX_BLOCK; at += 1) {
    const line = lines[at] ?? '';
    if (line.trim() === '') continue;
    const depth = line.length - line.trimStart().length;
    if (depth < key.indent || (depth === key.indent && (key.scalar || !line.trimStart().startsWith('- ')))) break;
    end = at + 1;
  }
  return end;
}

/** One placeholder for all lines, as deep as the first. `undefined`: nothing to hide. */
function hideScalar(block: readonly string[], why: SecretReason, { hide }: Rules): string[] | undefined {
  const value = block.map((line) => line.trim()).join('\n');
  const first = block.find((line) => line.trim() !== '') ?? '';
  if (value.trim() === '' || isHidden(value.trim())) return undefined;
  return [`${first.slice(0, first.length - first.trimStart().length)}${hide(value, why)}`];
}

/** `undefined`: it describes a secret, or refers to one. */
function hideNested(block: readonly string[], why: SecretReason, { hide }: Rules): string[] | undefined {
  const parts = block.map((line) => LINE.exec(line)?.groups ?? {});
  if (parts.some(({ name }) => name !== undefined && DESCRIBES.test(name))) return undefined;
  return block.map((line, at) => {
    const { indent = '', dash = '', name = '', colon = '', value = '', end = '' } = parts[at] ?? {};
    const inner = value.replace(/^(["'])(.*)\1$/, '$2');
    const isValue = inner !== '' && (name !== '' || dash !== '') && !/^[[{#&*!|>]/.test(inner) && !/:$/.test(inner);
    if (!isValue || isHidden(inner)) return line;
    const quote = inner === value ? '' : value.slice(0, 1);
    return `${indent}${dash}${name}${colon}${quote}${hide(inner, why)}${quote}${end}`;
  });
}
