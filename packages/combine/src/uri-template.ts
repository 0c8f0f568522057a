/**
 * Whether a URI can have been made from a template (RFC 6570). An expression stands for any characters, those of simple
 * expansion (`{x}`) for any but `/`; which variables they would be does not matter here.
 */
export function fitsTemplate(template: string, uri: string): boolean {
  const parts = template.split(/\{([^{}]*)\}/);
  return fits(parts, 0, { uri, at: 0, steps: { left: MAX_STEPS } });
}

/** Templates come from servers and URIs from clients: what takes longer than this does not fit. */
const MAX_STEPS = 10_000;

interface Place {
  readonly uri: string;
  readonly at: number;
  readonly steps: { left: number };
}

/** `parts` holds literals at even places and expressions at odd ones. */
function fits(parts: readonly string[], part: number, { uri, at, steps }: Place): boolean {
  const literal = parts[part] ?? '';
  if (!uri.startsWith(literal, at)) return false;
  const from = at + literal.length;
  const expression = parts[part + 1];
  if (expression === undefined) return from === uri.length;
  const simple = /^[A-Za-z0-9_%.,:]+$/.test(expression);
  for (let to = from; to <= uri.length; to += 1) {
    steps.left -= 1;
    if (steps.left < 0) return false;
    if (fits(parts, part + 2, { uri, at: to, steps })) return true;
    if (simple && uri[to] === '/') return false;
  }
  return false;
}
