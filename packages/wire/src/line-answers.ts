import { ProxyError, type Reply } from '@shadowcat/kernel';
import type { Message, RpcId } from './jsonrpc.js';
import { readLine } from './read-messages.js';
import { errorText } from './replies.js';
import { spanOf, spliceMessage } from './splice.js';

/** What an exchange still owes to the line it came from: an answer for each request. */
export class LineAnswers {
  readonly #owed: Map<Message['id'], string>;

  constructor(messages: readonly Message[]) {
    this.#owed = new Map();
    for (const { kind, id, idText } of messages) {
      if (kind === 'request' && idText !== undefined) this.#owed.set(id, idText);
    }
  }

  get owed(): boolean {
    return this.#owed.size > 0;
  }

  /** The client wants no answer to this request any more. */
  forgive(id: RpcId): void {
    this.#owed.delete(id);
  }

  /** What to send for a text out of the reply, with the messages in it. Errors that name no request are given to those that wait. */
  take(text: string): { readonly texts: readonly string[]; readonly messages: readonly Message[] } {
    const messages = readLine(text);
    const [only] = messages;
    if (messages.length === 1 && only !== undefined && this.#owed.size > 0 && isNamelessError(only)) {
      return { texts: this.#spread(only), messages };
    }
    for (const message of messages) if (message.kind === 'response') this.#owed.delete(message.id);
    return { texts: messages.length === 0 ? [] : [text], messages };
  }

  /** The answers that a reply did not give. */
  failed(error: ProxyError): readonly string[] {
    const texts = [...this.#owed.values()].map((idText) => errorText(error, idText));
    this.#owed.clear();
    return texts;
  }

  #spread(error: Message): readonly string[] {
    const span = spanOf(error.text, ['error']);
    const json = span === undefined ? 'null' : error.text.slice(span.start, span.end);
    const texts = [...this.#owed.values()].map((id) => {
      return spliceMessage('{"jsonrpc":"2.0","id":0,"error":0}', [
        { path: ['id'], json: id },
        { path: ['error'], json },
      ]);
    });
    this.#owed.clear();
    return texts;
  }
}

/** An error about a body whose id could not be read, or was not: the client behind a line needs one to know it by. */
function isNamelessError(message: Message): boolean {
  return message.kind === 'response' && (message.id === null || message.id === undefined);
}

/** Why a reply that is over has not answered. */
export function unanswered(reply: Reply): ProxyError {
  const { status } = reply.head;
  if (status >= 400)
    return new ProxyError('upstream_protocol', `the request was answered with HTTP ${status} and no message`);
  return new ProxyError('upstream_closed', 'the answer ended before the request was answered');
}
