/** MCP over HTTP by hand, for what no SDK would send and for what the SDKs hide. */

export interface SseEvent {
  readonly id?: string;
  readonly event?: string;
  readonly retry?: string;
  readonly data: string;
}

/** The events of a response; comments are left out. Ends with the stream. */
export async function* sseEvents(response: Response): AsyncGenerator<SseEvent> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of response.body ?? []) {
    pending += decoder.decode(chunk as Uint8Array, { stream: true });
    const blocks = pending.split(/\r?\n\r?\n/);
    pending = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== undefined) yield event;
    }
  }
}

/** The text of the JSON-RPC answer to request `id`: the body itself, or the event that carries it. */
export async function answerText(response: Response, id: string | number): Promise<string> {
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) return response.text();
  for await (const { data } of sseEvents(response)) {
    const message = data === '' ? {} : (JSON.parse(data) as { id?: unknown; method?: unknown });
    if (message.id === id && message.method === undefined) return data;
  }
  throw new Error(`the stream ended without an answer to ${id}`);
}

export interface PostOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Posts a body as it is. */
export function postRaw(url: string, body: string, { headers, signal }: PostOptions = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body,
    ...(signal && { signal }),
  });
}

export interface RawSession {
  readonly id: string;
  /** What every request of the session carries. */
  readonly headers: Readonly<Record<string, string>>;
  /** Posts a body as it is, or a value as JSON. */
  post(body: unknown, options?: PostOptions): Promise<Response>;
  /** The standing stream, or with `lastEventId` the rest of a broken one. */
  get(options?: { readonly lastEventId?: string; readonly signal?: AbortSignal }): Promise<Response>;
  delete(): Promise<Response>;
}

export interface SessionOptions {
  /** Default 2025-11-25. */
  readonly protocolVersion?: string;
  readonly capabilities?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Initializes a legacy session. */
export async function openSession(url: string, options: SessionOptions = {}): Promise<RawSession> {
  const { protocolVersion = '2025-11-25', capabilities = {}, headers: extra } = options;
  const params = { protocolVersion, capabilities, clientInfo: { name: 'e2e-raw', version: '1.0.0' } };
  const initialize = JSON.stringify({ jsonrpc: '2.0', id: 'init', method: 'initialize', params });
  const opened = await postRaw(url, initialize, { ...(extra && { headers: extra }) });
  const id = opened.headers.get('mcp-session-id');
  const answer = await answerText(opened, 'init');
  if (id === null) throw new Error(`no session (${opened.status}): ${answer}`);
  const headers = { ...extra, 'mcp-session-id': id, 'mcp-protocol-version': protocolVersion };
  const post = (body: unknown, given: PostOptions = {}): Promise<Response> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return postRaw(url, text, { ...given, headers: { ...headers, ...given.headers } });
  };
  const initialized = await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
  await initialized.arrayBuffer();
  return {
    id,
    headers,
    post,
    get: ({ lastEventId, signal } = {}) =>
      fetch(url, {
        headers: { ...headers, accept: 'text/event-stream', ...(lastEventId && { 'last-event-id': lastEventId }) },
        ...(signal && { signal }),
      }),
    delete: () => fetch(url, { method: 'DELETE', headers }),
  };
}

export interface ModernRequest {
  readonly id?: string | number;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly capabilities?: Readonly<Record<string, unknown>>;
}

/** Posts one request of revision 2026-07-28 with the headers and the `_meta` that it needs. */
export function postModern(url: string, request: ModernRequest, options: PostOptions = {}): Promise<Response> {
  const { id = 1, method, params = {}, capabilities = {} } = request;
  const version = '2026-07-28';
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': { name: 'e2e-raw', version: '1.0.0' },
  };
  const name = params.name ?? params.uri;
  const headers = {
    'mcp-protocol-version': version,
    'mcp-method': method,
    ...(typeof name === 'string' && { 'mcp-name': name }),
    ...options.headers,
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } });
  return postRaw(url, body, { ...options, headers });
}

function eventOf(block: string): SseEvent | undefined {
  const fields: Record<string, string[]> = {};
  for (const line of block.split(/\r?\n/)) {
    const match = /^(id|event|retry|data):? ?(.*)$/.exec(line);
    const [, name = '', value = ''] = match ?? [];
    if (match !== null) fields[name] = [...(fields[name] ?? []), value];
  }
  if (Object.keys(fields).length === 0) return undefined;
  const first = (name: 'id' | 'event' | 'retry'): Partial<SseEvent> => {
    const value = fields[name]?.at(-1);
    return value === undefined ? {} : { [name]: value };
  };
  return { ...first('id'), ...first('event'), ...first('retry'), data: (fields['data'] ?? []).join('\n') };
}
