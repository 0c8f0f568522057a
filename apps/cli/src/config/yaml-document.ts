import { isScalar, LineCounter, type Node, parseDocument } from 'yaml';

/** A YAML file as it was read. `root` is `undefined` for an empty one. */
export interface YamlDocument {
  readonly root: Node | undefined;
  /** `file:line:column` of a place in the text. */
  readonly at: (offset: number) => string;
}

/** Reads one YAML document; the first syntax error is told as one line, because what follows is mostly its consequence. */
export function readYaml(name: string, text: string): YamlDocument | { readonly problem: string } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, merge: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line, col } = lines.linePos(broken.pos[0]);
    return { problem: `${name}:${brokenPlace(text, line, col)}: ${syntaxText(broken)}` };
  }
  const root = document.contents as Node | null;
  return { root: root === null || (isScalar(root) && root.value === null) ? undefined : root, at };
}

/**
 * `line:column` and the key of what cannot be read. What was opened and never closed is noticed at the end only: then the
 * place is the last line with something on it. The value is not repeated: it may be a secret.
 */
function brokenPlace(text: string, line: number, column: number): string {
  const rows = text.split('\n');
  let at = Math.min(line, rows.length);
  while (at > 1 && (rows[at - 1] ?? '').trim() === '') at -= 1;
  const place = at === line ? `${line}:${column}` : `${at}:1`;
  for (let index = at - 1; index >= 0; index--) {
    const key = /^([\w-]+)\s*:(?:\s|$)/.exec(rows[index] ?? '')?.[1];
    if (key !== undefined) return `${place}: ${key}`;
  }
  return place;
}

function syntaxText(error: { readonly message: string; readonly code: string }): string {
  if (error.code === 'DUPLICATE_KEY') return 'this key is there twice: keep one';
  if (error.code === 'TAB_AS_INDENT') return 'a tab cannot indent YAML: use spaces';
  if (error.code === 'MULTIPLE_DOCS') return 'only one YAML document is read: remove the --- line';
  if (error.code === 'BLOCK_AS_IMPLICIT_KEY')
    return 'not valid YAML: a value that holds a colon needs quotes around it';
  if (/call stack/i.test(error.message)) return 'not valid YAML: it is nested too deeply';
  return `not valid YAML: ${firstLine(error.message)}`;
}

const firstLine = (message: string): string => message.split('\n')[0] ?? message;
