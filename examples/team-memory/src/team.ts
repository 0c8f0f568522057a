import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';

/** What a team knows, kept by an MCP server: `@modelcontextprotocol/server-memory`. */
export class Team {
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async connect(transport: Transport): Promise<Team> {
    const client = new Client({ name: 'team-memory', version: '1.0.0' });
    await client.connect(transport);
    return new Team(client);
  }

  /** Remembers that somebody knows about something. */
  async knows(person: string, topic: string): Promise<void> {
    const entities = [{ name: person, entityType: 'person', observations: [`knows about ${topic}`] }];
    await this.#call('create_entities', { entities });
  }

  /** Who knows about something, by name. */
  async whoKnows(topic: string): Promise<string[]> {
    const { entities } = await this.#call('search_nodes', { query: `knows about ${topic}` });
    return entities.map(({ name }) => name).sort();
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #call(name: string, args: Record<string, unknown>): Promise<Graph> {
    const result = await this.#client.callTool({ name, arguments: args });
    if (result.isError === true) throw new Error(`the memory does not answer: ${JSON.stringify(result.content)}`);
    return result.structuredContent as unknown as Graph;
  }
}

interface Graph {
  readonly entities: readonly { readonly name: string; readonly observations: readonly string[] }[];
}
