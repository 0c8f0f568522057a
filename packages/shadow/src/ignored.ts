/** The steps of a JSON Pointer (RFC 6901); `undefined` when it is none. */
function stepsOf(pointer: string): readonly string[] | undefined {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** One step of a JSON Pointer, escaped. */
export function stepText(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Whether a place, and with it everything below, is not compared. */
export type IgnoreTest = (steps: readonly string[]) => boolean;

/** A test from pointers in which a step `*` stands for any one step. Texts that are no pointers match nothing. */
export function ignoring(pointers: readonly string[]): IgnoreTest {
  const patterns = pointers.flatMap((pointer) => {
    const steps = stepsOf(pointer);
    return steps === undefined ? [] : [steps];
  });
  if (patterns.length === 0) return () => false;
  return (steps) => patterns.some((pattern) => fits(pattern, steps));
}

function fits(pattern: readonly string[], steps: readonly string[]): boolean {
  return pattern.length === steps.length && pattern.every((step, at) => step === '*' || step === steps[at]);
}
