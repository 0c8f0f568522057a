import { type Flow, type ProposedRule, pointerText, ruleText } from '@shadowcat/tape';

/** One value that flowed, for people and programs. */
export interface Bound extends ProposedRule {
  readonly value: string;
  /** The line of the answer that it came in. */
  readonly line: number;
  /** Whether it is a word of a longer text there. */
  readonly inText: boolean;
  /** Where the client used it: the line of the request, and the JSON pointer in it. */
  readonly uses: readonly { readonly line: number; readonly pointer: string }[];
}

export function boundOf(flows: readonly Flow[]): readonly Bound[] {
  return flows.map(({ value, from, uses }) => ({
    method: from.recording.method,
    target: from.recording.target,
    at: [pointerText(from.path)],
    value,
    line: (from.recording.answer ?? from.recording).place.line,
    inText: from.within !== undefined,
    uses: uses.map(({ recording, path }) => ({ line: recording.place.line, pointer: pointerText(path) })),
  }));
}

/** An overlay that says what was found; what is in the middle of a text no rule can name, and stands as a comment. */
export function bindText(bound: readonly Bound[]): string {
  if (bound.length === 0) return '';
  const entries = bound.map((entry) => {
    const uses = entry.uses.map(({ line, pointer }) => `line ${line} ${pointer}`).join(', ');
    const about = `  # ${JSON.stringify(entry.value)} of line ${entry.line}, used in ${uses}\n`;
    return `${about}  ${entry.inText ? '# in a text: ' : '- '}${ruleText(entry)}\n`;
  });
  const none = bound.every(({ inText }) => inText);
  return `${none ? '# bind:' : 'bind:'}\n${entries.join('')}`;
}
