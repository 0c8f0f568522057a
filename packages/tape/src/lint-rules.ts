/** How bad it is: an `error` fails a lint, `broken` is a tape that cannot be used at all. */
export type Severity = 'broken' | 'error' | 'warning';

/** One way in which a tape can be wrong. The texts are for people. */
export interface LintRule {
  readonly id: string;
  readonly severity: Severity;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

const rule = (id: string, severity: Severity, texts: Omit<LintRule, 'id' | 'severity'>): LintRule => ({
  id,
  severity,
  ...texts,
});

/** All rules, by number. Numbers are never used again. 0xx the file, 1xx its exchanges, 2xx messages, 3xx what is to be committed. */
export const LINT_RULES = {
  truncated: rule('T001', 'broken', {
    what: 'the tape is cut off',
    why: 'what is missing cannot be replayed, and nobody can tell what it was',
    fix: 'tape recover keeps what is whole',
  }),
  invalid: rule('T002', 'broken', {
    what: 'a line is no record',
    why: 'a reader stops there: a merge conflict, or a tape that another program wrote',
    fix: 'mend the line, or keep what is before it with tape recover',
  }),
  corrupt: rule('T003', 'broken', {
    what: 'a checkpoint does not fit its lines',
    why: 'a capture was changed after it was written, or the disk was',
    fix: 'record again, or keep what is before the damage with tape recover',
  }),
  edited: rule('T004', 'error', {
    what: 'a golden tape was edited and not sealed',
    why: 'the digest says whether what is replayed is what was reviewed',
    fix: 'look at the change; if it was meant: tape fmt',
  }),
  gap: rule('T005', 'warning', {
    what: 'records are missing',
    why: 'the recorder could not keep up, or could not write: a replay may miss what was lost',
    fix: 'record again',
  }),
  recovered: rule('T006', 'warning', {
    what: 'the tape was recovered from one that was cut off',
    why: 'requests that were not answered yet cannot be replayed',
    fix: 'record again when those matter',
  }),
  blob: rule('T007', 'broken', {
    what: 'a blob is missing beside the tape, or was changed',
    why: 'the message that it is part of cannot be served',
    fix: 'commit the blobs directory with the tape; restore the file, or record again',
  }),
  neverEnded: rule('T101', 'error', {
    what: 'an exchange has no end',
    why: 'nobody can tell whether its answer is whole',
    fix: 'add its x- record, or record again',
  }),
  afterEnd: rule('T102', 'error', {
    what: 'a record follows the end of its exchange',
    why: 'a replay has answered by then',
    fix: 'move it before the x- record of the exchange',
  }),
  unasked: rule('T103', 'error', {
    what: 'an exchange begins with what came back',
    why: 'there is nothing that a client could ask to get it',
    fix: 'add what the client sent, or remove the exchange',
  }),
  notMessage: rule('T201', 'error', {
    what: 'a msg record holds no JSON-RPC message',
    why: 'no client would understand it',
    fix: 'mend the message, or make it a raw record',
  }),
  unanswered: rule('T202', 'error', {
    what: 'a request has no answer although its exchange ended with one',
    why: 'a replay would leave the client waiting',
    fix: 'add the response, with the id of the request',
  }),
  strangeAnswer: rule('T203', 'error', {
    what: 'a response answers no request',
    why: 'its id is that of no request that was open',
    fix: 'give it the id of its request',
  }),
  noOpening: rule('T204', 'warning', {
    what: 'a session does not begin with initialize',
    why: 'no client can open it in a replay',
    fix: 'record from the beginning of the session',
  }),
  header: rule('T301', 'error', {
    what: 'a header field is on the tape that never should be',
    why: 'headers carry credentials and session ids',
    fix: 'remove it, and change what it gave away',
  }),
  unredacted: rule('T302', 'warning', {
    what: 'the tape does not say how it was redacted',
    why: 'it may hold secrets',
    fix: 'record it with Shadowcat, or read it before it is committed',
  }),
  unformatted: rule('T303', 'warning', {
    what: 'a golden tape is not in the form that tape fmt gives it',
    why: 'the next tape fmt changes more lines than were edited',
    fix: 'tape fmt',
  }),
} as const satisfies Readonly<Record<string, LintRule>>;

/** The rule for a problem that reading a tape has found. */
export type RuleName = keyof typeof LINT_RULES;
