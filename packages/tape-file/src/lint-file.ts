import { readFile } from 'node:fs/promises';
import { ProxyError } from '@shadowcat/kernel';
import { goldenOf, LINT_RULES, type LintFinding, lintTape, type Tape } from '@shadowcat/tape';
import { loadBlobs } from './blob-files.js';
import { newDigest } from './digest.js';
import { inspectTapeFile } from './read-file.js';

/** What is wrong with a tape and with what lies beside it. Throws `tape_invalid` for a file that cannot be read at all. */
export async function lintTapeFile(path: string): Promise<readonly LintFinding[]> {
  let tape: Tape;
  try {
    tape = await inspectTapeFile(path);
  } catch (error) {
    const { data, message } = ProxyError.from(error);
    const line = data?.['line'];
    if (typeof line !== 'number') throw error;
    return [{ rule: LINT_RULES.invalid, line, message: message.replace(`${path}:${line}: `, '') }];
  }
  const findings = [...lintTape(tape)];
  const whole = await loadBlobs(tape, path).catch((error: unknown) => ProxyError.from(error));
  if (whole instanceof ProxyError) {
    const line = /:(\d+): the blob/.exec(whole.message)?.[1];
    findings.push({
      rule: LINT_RULES.blob,
      line: Number(line ?? 1),
      message: whole.message.replace(/^.*?: (?=the blob)/, ''),
    });
  } else if (tape.head.form === 'golden' && tape.problems.length === 0) {
    findings.push(...(await unformatted(whole, path)));
  }
  return findings;
}

/** The first line that `tape fmt` would change. */
async function unformatted(tape: Tape, path: string): Promise<LintFinding[]> {
  const times = tape.records.some(({ t }) => t !== undefined);
  const { lines } = goldenOf(tape, { newDigest, times });
  const found = (await readFile(path, 'utf8')).split('\n');
  const at = lines.findIndex((line, index) => line !== `${found[index]}\n`);
  if (at < 0) return [];
  return [{ rule: LINT_RULES.unformatted, line: at + 1, message: 'tape fmt would write this line otherwise' }];
}
