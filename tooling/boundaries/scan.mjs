// What the checks need to know about one module: what it imports (types included), and how long it is.
import { parseSync, Visitor } from 'oxc-parser';

/**
 * @typedef {{ specifier: string, line: number }} Import
 * @typedef {object} Scan
 * @property {Import[]} imports in the order of the text
 * @property {Import[]} references `/// <reference …>` directives
 * @property {number[]} wallClock lines that ask for the time of day: `Date.now()`, `new Date()`
 * @property {number} codeLines lines that hold something besides comments and blanks
 */

const REFERENCE = /^\/\s*<reference\s+(?:types|lib|path)="([^"]+)"/;

/**
 * @param {string} file its name tells the language
 * @param {string} source
 * @returns {Scan}
 * @throws {SyntaxError} when the module cannot be parsed
 */
export function scan(file, source) {
  const { program, comments, errors } = parseSync(file, source);
  const fatal = errors.find((error) => error.severity === 'Error');
  if (fatal !== undefined) throw new SyntaxError(`${file}: ${fatal.message}`);
  const lineOf = lineCounter(source);
  const { imports, wallClock } = collect(program, lineOf);
  const references = comments.flatMap((comment) => {
    const specifier = comment.type === 'Line' ? REFERENCE.exec(comment.value)?.[1] : undefined;
    return specifier === undefined ? [] : [{ specifier, line: lineOf(comment.start) }];
  });
  return { imports, references, wallClock, codeLines: countCodeLines(source, comments) };
}

/**
 * @param {import('oxc-parser').Program} program
 * @param {(offset: number) => number} lineOf
 */
function collect(program, lineOf) {
  const imports = /** @type {Import[]} */ ([]);
  const wallClock = /** @type {number[]} */ ([]);
  /** @param {unknown} node */
  const add = (node) => {
    const literal = /** @type {{ type?: string, value?: unknown, start: number } | null | undefined} */ (node);
    if (literal?.type !== 'Literal' || typeof literal.value !== 'string') return;
    imports.push({ specifier: literal.value, line: lineOf(literal.start) });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node.source),
    ExportNamedDeclaration: (node) => add(node.source),
    ExportAllDeclaration: (node) => add(node.source),
    ImportExpression: (node) => add(node.source),
    TSImportType: (node) => add(node.source),
    TSExternalModuleReference: (node) => add(node.expression),
    CallExpression: (node) => {
      if (isRequire(node.callee)) add(node.arguments[0]);
      if (isMember(node.callee, 'Date', 'now')) wallClock.push(lineOf(node.start));
    },
    NewExpression: (node) => {
      const isDate = node.callee.type === 'Identifier' && node.callee.name === 'Date';
      if (isDate && node.arguments.length === 0) wallClock.push(lineOf(node.start));
    },
  }).visit(program);
  imports.sort((a, b) => a.line - b.line);
  return { imports, wallClock };
}

/** @param {import('oxc-parser').Expression} callee */
function isRequire(callee) {
  return callee.type === 'Identifier' && callee.name === 'require';
}

/**
 * @param {import('oxc-parser').Expression} callee
 * @param {string} object
 * @param {string} property
 */
function isMember(callee, object, property) {
  if (callee.type !== 'MemberExpression' || callee.computed) return false;
  return (
    callee.object.type === 'Identifier' &&
    callee.object.name === object &&
    callee.property.type === 'Identifier' &&
    callee.property.name === property
  );
}

/**
 * @param {string} source
 * @param {ReadonlyArray<{ start: number, end: number }>} comments
 */
function countCodeLines(source, comments) {
  let code = '';
  let from = 0;
  for (const { start, end } of comments) {
    code += source.slice(from, start) + source.slice(start, end).replace(/[^\n]/g, '');
    from = end;
  }
  code += source.slice(from);
  return code.split('\n').filter((line) => line.trim() !== '').length;
}

/** @param {string} source */
function lineCounter(source) {
  const starts = [0];
  for (let at = source.indexOf('\n'); at !== -1; at = source.indexOf('\n', at + 1)) starts.push(at + 1);
  /** @param {number} offset */
  return (offset) => starts.findLastIndex((start) => start <= offset) + 1;
}
