import { type Message, readMessage } from '@shadowcat/wire';
import { isAllowedHeader } from './lines.js';
import { LINT_RULES, type LintRule, type RuleName } from './lint-rules.js';
import { type ExitRecord, type HttpRecord, type MsgRecord, NO_SESSION, type Tape, type TapeRecord } from './records.js';

/** Something wrong with a tape, with its place. */
export interface LintFinding {
  readonly rule: LintRule;
  readonly line: number;
  readonly message: string;
}

/** What is wrong with a tape, in the order of its lines. The tape need not be sound, nor hold its blobs. */
export function lintTape(tape: Tape): readonly LintFinding[] {
  const linter = new Linter();
  for (const { kind, line, message } of tape.problems) linter.report(kind, line, message);
  if (tape.head.redaction === undefined) linter.report('unredacted', 1, LINT_RULES.unredacted.what);
  if (tape.end?.recovered === true) linter.report('recovered', tape.end.line, LINT_RULES.recovered.what);
  for (const record of tape.records) linter.add(record);
  if (tape.end !== undefined) linter.end();
  return linter.findings.sort((a, b) => a.line - b.line);
}

interface LintedExchange {
  readonly line: number;
  ended: ExitRecord | undefined;
  /** Requests of the client's that have no response yet. */
  readonly open: Map<string, { readonly line: number; readonly method: string }>;
  isStream: boolean;
}

interface LintedLane {
  readonly exchanges: Map<string, LintedExchange>;
  /** Ids of the server's requests that have no answer yet. */
  readonly asked: Set<string>;
  opened: boolean;
}

class Linter {
  readonly findings: LintFinding[] = [];
  readonly #lanes = new Map<string, LintedLane>();

  report(name: RuleName, line: number, message: string): void {
    this.findings.push({ rule: LINT_RULES[name], line, message });
  }

  add(record: TapeRecord): void {
    if (!('s' in record)) return;
    const lane = this.#lane(record.s);
    if (record.k === 'sess' && record.resumed === true) lane.opened = true;
    if (!('x' in record) || record.x === undefined) return;
    const name = record.x;
    let exchange = lane.exchanges.get(name);
    if (exchange === undefined) {
      exchange = { line: record.line, ended: undefined, open: new Map(), isStream: false };
      lane.exchanges.set(name, exchange);
      const asks = !('from' in record) || record.from === 'client' || record.k === 'raw';
      if (!asks) this.report('unasked', record.line, `exchange ${name}: ${LINT_RULES.unasked.what}`);
    } else if (exchange.ended !== undefined) {
      this.report('afterEnd', record.line, `exchange ${name} ended in line ${exchange.ended.line}`);
    }
    if (record.k === 'http') this.#http(record, exchange);
    else if (record.k === 'msg') this.#message(record, lane, exchange);
    else if (record.k === 'x-') this.#exit(record, exchange);
  }

  /** All is read: what did not come. */
  end(): void {
    for (const [s, { exchanges }] of this.#lanes) {
      for (const [x, { line, ended }] of exchanges) {
        if (ended === undefined) this.report('neverEnded', line, `exchange ${x} of lane ${s} has no x- record`);
      }
    }
  }

  #lane(s: string): LintedLane {
    let lane = this.#lanes.get(s);
    if (lane === undefined) {
      lane = { exchanges: new Map(), asked: new Set(), opened: s === NO_SESSION };
      this.#lanes.set(s, lane);
    }
    return lane;
  }

  #http(record: HttpRecord, exchange: LintedExchange): void {
    if (record.method === 'GET') exchange.isStream = true;
    for (const name of Object.keys(record.headers)) {
      if (!isAllowedHeader(name))
        this.report('header', record.line, `the header field ${name} is not on the allow-list`);
    }
  }

  #message(record: MsgRecord, lane: LintedLane, exchange: LintedExchange): void {
    const message = readMessage(record.text);
    if (message === undefined) {
      this.report('notMessage', record.line, LINT_RULES.notMessage.what);
    } else if (message.kind === 'response') {
      this.#response(message, record, { lane, exchange });
    } else if (message.kind === 'request' && message.idText !== undefined) {
      const { idText, method = '' } = message;
      if (record.from === 'server') lane.asked.add(idText);
      else this.#request({ idText, method, line: record.line }, lane, exchange);
    }
  }

  #request(
    request: { readonly idText: string; readonly method: string; readonly line: number },
    lane: LintedLane,
    exchange: LintedExchange,
  ): void {
    if (!lane.opened && request.method !== 'initialize') {
      this.report('noOpening', request.line, `the first request of this session is ${request.method}`);
    }
    lane.opened = true;
    exchange.open.set(request.idText, request);
  }

  #response(
    { idText = 'null' }: Message,
    { from, line }: MsgRecord,
    { lane, exchange }: { readonly lane: LintedLane; readonly exchange: LintedExchange },
  ): void {
    const fits = from === 'client' ? lane.asked.delete(idText) : this.#answers(idText, lane, exchange);
    // An error about what could not be read has no id.
    if (!fits && idText !== 'null') this.report('strangeAnswer', line, `nobody asked what has the id ${idText}`);
  }

  /** A stream may bring the answer to a request of another exchange: one that was resumed. */
  #answers(idText: string, lane: LintedLane, exchange: LintedExchange): boolean {
    if (exchange.open.delete(idText)) return true;
    if (!exchange.isStream) return false;
    for (const other of lane.exchanges.values()) if (other.open.delete(idText)) return true;
    return false;
  }

  #exit(record: ExitRecord, exchange: LintedExchange): void {
    exchange.ended ??= record;
    if (record.end !== 'answered') return;
    for (const { line, method } of exchange.open.values()) {
      this.report('unanswered', line, `${method} has no response, but its exchange ended as answered`);
    }
  }
}
