import { answerText } from './raw-mcp.js';

/** A `tools/call` request. */
export function toolCall(id: number | string, name: string, args: unknown = {}): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } };
}

/** The first text of a tool's result, or the JSON-RPC error as JSON. */
export async function toolText(response: Response, id: number | string): Promise<string> {
  const answer = JSON.parse(await answerText(response, id)) as {
    result?: { content?: { text?: string }[] };
    error?: unknown;
  };
  return answer.result?.content?.[0]?.text ?? JSON.stringify(answer.error);
}

export interface Readiness {
  readonly status: number;
  readonly body: {
    readonly status: string;
    readonly upstreams: {
      readonly ok: boolean;
      readonly targets: readonly { name: string; ok: boolean; detail?: string }[];
    };
    readonly store: { readonly ok: boolean };
    readonly recorder: {
      readonly ok: boolean;
      readonly status?: string;
      readonly lost?: number;
      readonly detail?: string;
    };
  };
}

/** What `/health/ready` of the proxy with this endpoint says. */
export async function readiness(endpoint: string): Promise<Readiness> {
  const response = await fetch(new URL('/health/ready', endpoint));
  return { status: response.status, body: (await response.json()) as Readiness['body'] };
}

/** A figure of `/metrics`: the sum of the series with this name and at least these labels; 0 when there is none. */
export async function metric(endpoint: string, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', endpoint))).text();
  const { family, labels } = seriesName(name);
  let sum = 0;
  for (const line of text.split('\n')) {
    const end = line.lastIndexOf(' ');
    const series = seriesName(line.slice(0, end));
    const fits = series.family === family && labels.every((label) => series.labels.includes(label));
    if (fits) sum += Number(line.slice(end + 1));
  }
  return sum;
}

/** `name{a="b",c="d"}` in its parts; what is in quotes may hold anything. */
function seriesName(text: string): { readonly family: string; readonly labels: readonly string[] } {
  const [family = '', rest = ''] = text.split('{', 2);
  return { family, labels: rest.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? [] };
}
