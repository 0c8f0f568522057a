import { asObject, type JsonObject } from '@shadowcat/wire';

/** What a server asks of its client, in whichever way its era has for that. */
export interface Asking {
  readonly method: string;
  /** The JSON text of the parameters. */
  readonly paramsText: string | undefined;
}

const CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['roots/list', 'roots'],
]);

/** Why a client with these capabilities cannot be asked, in plain words; `undefined` when it can. */
export function cannotAsk({ method, paramsText }: Asking, capabilities: JsonObject): string | undefined {
  const capability = CAPABILITIES.get(method);
  if (capability === undefined) return `the server asks for ${method}, which this client cannot be asked`;
  const declared = asObject(capabilities[capability]);
  if (declared === undefined)
    return `the server asks for ${method}, but the client does not have the capability ${capability}`;
  const params = paramsText === undefined ? undefined : asObject(JSON.parse(paramsText));
  if (method === 'elicitation/create' && params?.['mode'] === 'url' && declared['url'] === undefined) {
    return 'the server asks the user to open a URL, but the client does not have the capability elicitation.url';
  }
  if (params?.['tools'] !== undefined && method === 'sampling/createMessage' && declared['tools'] === undefined) {
    return 'the server asks for sampling with tools, but the client does not have the capability sampling.tools';
  }
  return undefined;
}
