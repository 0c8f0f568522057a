/** A place in a JSON value: the steps of a JSON Pointer (RFC 6901), where `*` stands for any one key or index. */
export type Pointer = readonly string[];

/** Reads `/arguments/path`, with `*` for a step. `undefined` when it is none: it is empty, or does not begin with `/`. */
export function readPointer(text: string): Pointer | undefined {
  if (text === '' || !text.startsWith('/') || /~(?![01])/.test(text)) return undefined;
  return text
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The pointer's text. */
export function pointerText(pointer: Pointer): string {
  return pointer.map((step) => `/${pointerStep(step)}`).join('');
}

/** One step as it is written in a pointer. */
export function pointerStep(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Whether a pointer leads exactly to `path`. */
export function leadsTo(pointer: Pointer, path: Pointer): boolean {
  return pointer.length === path.length && pointer.every((step, index) => step === '*' || step === path[index]);
}
