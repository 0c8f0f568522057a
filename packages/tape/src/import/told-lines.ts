import { asObject, type Message, type ReadMessages } from '@shadowcat/wire';
import type { Sender } from '../records.js';
import type { Losses } from './losses.js';
import type { SpokenLine } from './play-lines.js';
import type { LogLine } from './stdio-log.js';

const OF_SERVER =
  /^(sampling\/createMessage|elicitation\/create|roots\/list|notifications\/(message|elicitation\/complete|(tools|prompts|resources)\/list_changed|resources\/updated|tasks\/status|subscriptions\/acknowledged))$/;

/** Finds out who sent what does not say so: from its method, or by the request that it answers. */
export function toldLines(lines: readonly LogLine[], losses: Losses): SpokenLine[] {
  const teller = new Teller();
  return lines.flatMap(({ at, from, text, read, abridged = false }): SpokenLine[] => {
    if (read === undefined || from === 'stderr') {
      losses.add(abridged ? 'abridged' : 'text');
      return [{ from: 'text', at, text }];
    }
    const sender = from ?? teller.tell(read);
    if (from === undefined) losses.add(sender === undefined ? 'unknown' : 'guessed');
    if (sender === undefined) return [];
    teller.learn(read, sender);
    return [{ from: sender, at, read }];
  });
}

/** Remembers what each side asked and was not answered. */
class Teller {
  readonly #asked: Readonly<Record<Sender, Set<string>>> = { client: new Set(), server: new Set() };

  tell({ messages }: ReadMessages): Sender | undefined {
    for (const message of messages) {
      const sender = this.#senderOf(message);
      if (sender !== undefined) return sender;
    }
    return undefined;
  }

  learn({ messages }: ReadMessages, sender: Sender): void {
    const other = sender === 'client' ? 'server' : 'client';
    for (const { kind, idText } of messages) {
      if (idText === undefined) continue;
      if (kind === 'request') this.#asked[sender].add(idText);
      else this.#asked[other].delete(idText);
    }
  }

  #senderOf(message: Message): Sender | undefined {
    const { kind, method = '', idText = '', value } = message;
    if (kind === 'response') return this.#answering(idText, value['result']);
    if (OF_SERVER.test(method)) return 'server';
    const params = asObject(value['params']);
    if (method === 'notifications/cancelled')
      return this.#asked.client.has(JSON.stringify(params?.['requestId'])) ? 'client' : 'server';
    if (method === 'notifications/progress')
      return this.#asked.client.size > 0 || this.#asked.server.size === 0 ? 'server' : 'client';
    return 'client';
  }

  /** Both may have asked with the same id: then what was answered tells. */
  #answering(idText: string, result: unknown): Sender | undefined {
    const [byClient, byServer] = [this.#asked.client.has(idText), this.#asked.server.has(idText)];
    if (byClient && byServer) return answersServer(asObject(result)) ? 'client' : 'server';
    if (byClient) return 'server';
    return byServer ? 'client' : undefined;
  }
}

/** The results of sampling, elicitation and roots. */
function answersServer(result: Readonly<Record<string, unknown>> | undefined): boolean {
  return (
    result !== undefined &&
    (('role' in result && 'model' in result) || 'action' in result || Array.isArray(result['roots']))
  );
}
