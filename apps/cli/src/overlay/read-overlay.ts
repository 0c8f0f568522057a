import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { mergeOverlays, type Overlay } from '@shadowcat/tape';
import { readYaml } from '../config/yaml-document.js';
import { CliError, problemsError } from '../errors.js';
import { contradictions } from './contradictions.js';
import { overlayOf, overlayShape } from './overlay-shape.js';

/** Larger files are no overlay. */
const MAX_OVERLAY = 4 * 1024 * 1024;

/** The overlays of these files as one. Throws a `CliError` that lists everything that is wrong with them. */
export async function readOverlays(paths: readonly string[], cwd: string): Promise<Overlay> {
  const problems: string[] = [];
  const overlays: Overlay[] = [];
  for (const path of paths) {
    const name = relative(cwd, path);
    const read = parseOverlay(name, await textOf(path, name));
    if ('problems' in read) problems.push(...read.problems);
    else overlays.push(read.overlay);
  }
  if (problems.length > 0) throw problemsError(problems);
  return mergeOverlays(overlays);
}

/** Reads the text of an overlay. Every problem has its `file:line:column` and key. */
export function parseOverlay(
  name: string,
  text: string,
): { readonly overlay: Overlay } | { readonly problems: readonly string[] } {
  const document = readYaml(name, text);
  if ('problem' in document) return { problems: [document.problem] };
  const { root, at } = document;
  // An overlay from which everything was taken out is one.
  if (root === undefined) return { overlay: mergeOverlays([]) };
  const problems: string[] = [];
  const reading = {
    at: (node: { range?: readonly number[] | null }) => at(node.range?.[0] ?? 0),
    problem: (line: string) => void problems.push(line),
  };
  const file = overlayShape.read(root, 'overlay', reading);
  if (file !== undefined) problems.push(...contradictions(file));
  if (file === undefined || problems.length > 0) {
    return { problems: problems.map((line) => line.replaceAll(': overlay.', ': ')) };
  }
  return { overlay: overlayOf(file) };
}

async function textOf(path: string, name: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CliError(`--overlay: ${name} cannot be read (${code})`, { cause: error });
  }
  if (text.length > MAX_OVERLAY) throw new CliError(`--overlay: ${name} is larger than ${MAX_OVERLAY} bytes`);
  return text;
}
