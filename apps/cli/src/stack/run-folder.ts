import { tmpdir, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * Where a user's processes keep what only matters until the next boot: `$XDG_RUNTIME_DIR/shadowcat`, which the system
 * makes for one user only, else a folder of this user's in the one for temporary files.
 */
export function runFolder(env: Readonly<Record<string, string | undefined>>): string {
  const own = env['XDG_RUNTIME_DIR'];
  if (own !== undefined && isAbsolute(own)) return join(own, 'shadowcat');
  return join(tmpdir(), `shadowcat-${process.getuid?.() ?? userInfo().username}`);
}
