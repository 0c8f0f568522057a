/** What a tape does not have of the file that it was made of: one sentence each, with the number of cases. */
const SENTENCES = {
  foreign: (n: number, what: string) => `${n} ${plural(n, what)} no MCP and left out`,
  redirected: (n: number) =>
    `${n} ${n === 1 ? 'redirection was' : 'redirections were'} left out: what they led to is there`,
  bare: (n: number) => `${n} ${n === 1 ? 'request has' : 'requests have'} no body in the file: left out`,
  unread: (n: number) => `${n} ${n === 1 ? 'body' : 'bodies'} could not be decoded: left out`,
  unanswered: (n: number) =>
    `${n} ${n === 1 ? 'answer is' : 'answers are'} missing: what was asked ends as it broke off`,
  cutOff: (n: number) =>
    `${n} ${n === 1 ? 'request was' : 'requests were'} not answered when the log or its session ended: open-at-end`,
  bodiless: (n: number) =>
    `${n} ${n === 1 ? 'answer has' : 'answers have'} no body in the file (what was streamed is often not kept)`,
  opening: (n: number) =>
    `${n} ${n === 1 ? 'session' : 'sessions'} began before the file: ${n === 1 ? 'its' : 'their'} initialize is missing`,
  timeless: () => 'the file has no times: what was under way at once is in the order of the file',
  noTimes: () => 'there are no times: the tape has none',
  eventTimes: (n: number) =>
    `${n} ${n === 1 ? 'event of a stream has' : 'events of streams have'} no time: put where what was asked and answered allows it`,
  guessed: (n: number) =>
    `${n} ${n === 1 ? 'message does' : 'messages do'} not say who sent ${n === 1 ? 'it' : 'them'}: told from method and id`,
  unknown: (n: number) =>
    `${n} ${n === 1 ? 'message' : 'messages'} could not be told to be of the client or of the server: left out`,
  stray: (n: number) => `${n} ${n === 1 ? 'answer belongs' : 'answers belong'} to no request in the file: left out`,
  abridged: (n: number) =>
    `${n} ${n === 1 ? 'message is' : 'messages are'} abridged in the log (as Claude Desktop does with long ones): left out`,
  latin: (n: number) =>
    `${n} ${n === 1 ? 'stream was' : 'streams were'} written as Latin-1 by mistake (as mitmproxy does): read as UTF-8`,
  text: (n: number) =>
    `${n} ${n === 1 ? 'line is' : 'lines are'} no message: kept as text in the capture form, left out of the golden one`,
  merged: () => 'two files say nothing about which message came first: merged by what was asked and answered',
} as const;

export type Loss = keyof typeof SENTENCES;

function plural(n: number, what: string): string {
  return n === 1 ? `${what} was` : `${what.endsWith('y') ? `${what.slice(0, -1)}ies` : `${what}s`} were`;
}

/** Counts what is lost on the way from a file to a tape. */
export class Losses {
  readonly #what: string;
  readonly #counts = new Map<Loss, number>();
  readonly #remarks: string[] = [];

  /** `what`: what the file consists of, such as `entry`. */
  constructor(what: string) {
    this.#what = what;
  }

  add(loss: Loss, times = 1): void {
    if (times > 0) this.#counts.set(loss, (this.#counts.get(loss) ?? 0) + times);
  }

  count(loss: Loss): number {
    return this.#counts.get(loss) ?? 0;
  }

  /** Something that happened once, in words of its own. */
  remark(text: string): void {
    this.#remarks.push(text);
  }

  sentences(): string[] {
    return [...[...this.#counts].map(([loss, times]) => SENTENCES[loss](times, this.#what)), ...this.#remarks];
  }
}
