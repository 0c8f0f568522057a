import { createContext, runInContext } from 'node:vm';

const BUDGET_MS = 1000;
/** What is repeated: one of each class that expressions tell apart. */
const CLASSES = ['a', 'A', '0', '_', '-', ' ', '.', '/', '@', ':', '=', '"', ',', 'a0', 'a ', 'a.', 'a-'];
/** Exponential time shows with few characters, a power of three or more with many. */
const LENGTHS = [32, 600];
const PROBE = `probes.some((probe) => expression.test(probe))`;

/**
 * Whether an expression takes time out of proportion to the text, such as `(a+)+$`: it is run on texts of the kind that bring this to
 * light, for a second at most. What it is meant for need not be among them, so `false` promises nothing.
 */
export function takesForever(expression: RegExp): boolean {
  const own = [...new Set(expression.source.match(/[\w .:/@-]/g) ?? [])].slice(0, 32);
  const units = [...new Set([...CLASSES, ...own])];
  // What it begins with has to be there, for it to go on to what is slow.
  const start = /^[\w .:/@-]+/.exec(expression.source.replace(/^\^/, ''))?.[0] ?? '';
  const probes = LENGTHS.flatMap((length) => units.map((unit) => `${start}${unit.repeat(length)}\u0000`));
  try {
    runInContext(PROBE, createContext({ probes, expression }), { timeout: BUDGET_MS });
    return false;
  } catch {
    return true;
  }
}
