import type { Message } from '@shadowcat/wire';
import type { SpokenLine } from './play-lines.js';

/**
 * One conversation out of what each side said, when nothing tells which came first: each side keeps its order, an answer comes behind its
 * request, and what the server says before an answer behind the request of that answer, because it most likely belongs to it.
 */
export function mergeLines<T extends SpokenLine>(client: readonly T[], server: readonly T[]): T[] {
  const merger = new Merger(client, server);
  return merger.merge();
}

class Merger<T extends SpokenLine> {
  readonly #client: readonly T[];
  readonly #server: readonly T[];
  /** Whose answer each line of the server's waits for: the ids of the next answer at or behind it. */
  readonly #needs: readonly (readonly string[])[];
  readonly #merged: T[] = [];
  readonly #askedByClient = new Set<string>();
  readonly #askedByServer = new Set<string>();
  /** What the server asked and the client has not answered yet, but will. */
  readonly #owed = new Set<string>();
  /** What the client will answer still. */
  readonly #toCome = new Map<string, number>();
  #nextClient = 0;
  #nextServer = 0;

  constructor(client: readonly T[], server: readonly T[]) {
    this.#client = client;
    this.#server = server;
    for (const id of client.flatMap(answersOf)) this.#toCome.set(id, (this.#toCome.get(id) ?? 0) + 1);
    let next: readonly string[] = [];
    this.#needs = server
      .toReversed()
      .map((line) => {
        const ids = answersOf(line);
        if (ids.length > 0) next = ids;
        return next;
      })
      .toReversed();
  }

  merge(): T[] {
    for (;;) {
      const client = this.#client[this.#nextClient];
      const server = this.#server[this.#nextServer];
      if (client === undefined && server === undefined) return this.#merged;
      if (server !== undefined && (client === undefined || this.#serverMay())) this.#tellServer(server);
      else if (client !== undefined && (server === undefined || this.#clientMay(client))) this.#tellClient(client);
      else if (server !== undefined) this.#tellServer(server);
    }
  }

  #serverMay(): boolean {
    const needs = this.#needs[this.#nextServer] ?? [];
    // What it says behind a question waits for the answer, when there is one.
    return this.#owed.size === 0 && needs.every((id) => this.#askedByClient.has(id));
  }

  /** An answer needs its question; anything else may come at any time. */
  #clientMay(line: T): boolean {
    return answersOf(line).every((id) => this.#askedByServer.has(id));
  }

  #tellClient(line: T): void {
    this.#nextClient += 1;
    this.#merged.push(line);
    for (const id of requestsOf(line)) this.#askedByClient.add(id);
    for (const id of answersOf(line)) {
      this.#askedByServer.delete(id);
      this.#owed.delete(id);
      this.#toCome.set(id, (this.#toCome.get(id) ?? 1) - 1);
    }
  }

  #tellServer(line: T): void {
    this.#nextServer += 1;
    this.#merged.push(line);
    for (const id of requestsOf(line)) {
      this.#askedByServer.add(id);
      if ((this.#toCome.get(id) ?? 0) > 0) this.#owed.add(id);
    }
  }
}

function messagesOf(line: SpokenLine): readonly Message[] {
  return line.from === 'text' ? [] : line.read.messages;
}

function answersOf(line: SpokenLine): string[] {
  return messagesOf(line).flatMap(({ kind, idText }) => (kind === 'response' && idText !== undefined ? [idText] : []));
}

function requestsOf(line: SpokenLine): string[] {
  return messagesOf(line).flatMap(({ kind, idText }) => (kind === 'request' && idText !== undefined ? [idText] : []));
}
