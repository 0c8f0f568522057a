import { existsSync } from 'node:fs';
import { relative } from 'node:path';

/** Where the overlay of a tape lies by its name, and, first, is written: `x.overlay.yaml`, `x.tape.jsonl.overlay.yaml`. */
export function overlayPaths(tape: string): readonly string[] {
  return [`${tape.replace(/(?:\.tape)?\.jsonl$/, '')}.overlay.yaml`, `${tape}.overlay.yaml`];
}

/**
 * What to tell when no overlay was given and one lies beside a tape: it may be one that nobody looked at yet, or of another
 * test, so it is not used by itself.
 */
export function unusedOverlays(
  { tapes, overlays }: { readonly tapes: readonly string[]; readonly overlays: readonly string[] },
  cwd: string,
): readonly string[] {
  if (overlays.length > 0) return [];
  return tapes
    .flatMap(overlayPaths)
    .filter((path) => existsSync(path))
    .map((path) => {
      const shown = relative(cwd, path) || path;
      return `${shown} is beside the tape, and is only used with --overlay ${shown}`;
    });
}
