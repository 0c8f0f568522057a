/** JSON-RPC texts around parts that are JSON texts already; nothing is parsed. */
export function requestText(idText: string, method: string, paramsJson?: string): string {
  const params = paramsJson === undefined ? '' : `,"params":${paramsJson}`;
  return `{"jsonrpc":"2.0","id":${idText},"method":${JSON.stringify(method)}${params}}`;
}

export function notificationText(method: string, paramsJson?: string): string {
  const params = paramsJson === undefined ? '' : `,"params":${paramsJson}`;
  return `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${params}}`;
}

export function responseText(idText: string, resultJson: string): string {
  return `{"jsonrpc":"2.0","id":${idText},"result":${resultJson}}`;
}

/** What a JSON-RPC error says. */
export interface Failure {
  readonly code: number;
  readonly message: string;
  readonly data?: object | undefined;
}

export function failureText(idText: string, { code, message, data }: Failure): string {
  const more = data === undefined ? '' : `,"data":${JSON.stringify(data)}`;
  return `{"jsonrpc":"2.0","id":${idText},"error":{"code":${code},"message":${JSON.stringify(message)}${more}}}`;
}
