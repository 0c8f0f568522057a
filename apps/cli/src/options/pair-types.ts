import { BadValue, badValue, CONCEALED, type OptionType } from './option-type.js';

export interface Pair {
  readonly name: string;
  readonly value: string;
}

/** Fields that the proxy sets itself, or that mean this connection only (RFC 9110, 7.6.1). */
const RESERVED = new Set([
  'host',
  'connection',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'accept',
  'mcp-session-id',
  'mcp-protocol-version',
  'last-event-id',
]);

const HEADER_HINT = 'write name=value or "Name: value"';

/** A header field. Its value never appears in a message. */
export const header: OptionType<Pair> = {
  label: 'name=value',
  pairs: true,
  parse(value) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*:\s*|=)([\t\x20-\x7e\x80-\xff]*)$/.exec(value);
    if (match === null) throw new BadValue(`this is not a header: ${HEADER_HINT}`);
    const name = (match[1] ?? '').toLowerCase();
    if (RESERVED.has(name)) throw new BadValue(`the header "${name}" is set by the proxy itself: leave it out`);
    return { name, value: (match[2] ?? '').trim() };
  },
  show: (pair) => `${pair.name}=${pair.value}`,
  conceal: (pair) => `${pair.name}=${CONCEALED}`,
  schema: { type: 'string', minLength: 1 },
};

/** A variable for children; `value` undefined means that it is passed on from our own environment. */
export interface EnvPair {
  readonly name: string;
  readonly value: string | undefined;
}

export const envPair: OptionType<EnvPair> = {
  label: 'NAME[=value]',
  pairs: true,
  parse(value) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?$/s.exec(value);
    if (match === null || value.includes('\0')) {
      throw new BadValue('this is not a variable: write NAME=value, or NAME to pass it on');
    }
    return { name: match[1] ?? '', value: match[2] };
  },
  show: (pair) => (pair.value === undefined ? pair.name : `${pair.name}=${pair.value}`),
  conceal: (pair) => (pair.value === undefined ? pair.name : `${pair.name}=${CONCEALED}`),
  schema: { type: 'string', minLength: 1 },
};

/** A bearer token: what RFC 6750 allows, so that it fits into a header as it is. The value never appears in a message. */
export const bearerToken: OptionType<string> = {
  label: 'token',
  parse(value) {
    if (!/^[A-Za-z0-9\-._~+/]+=*$/.test(value)) {
      throw new BadValue('this is not a token: write letters, digits and -._~+/ only, without spaces');
    }
    return value;
  },
  show: (value) => value,
  conceal: () => CONCEALED,
  schema: { type: 'string', pattern: '^[A-Za-z0-9\\-._~+/]+=*$' },
};

/** Where sessions are kept. `memory` without its colon is the same: in YAML the colon would need quotes. */
export const storeUrl: OptionType<string> = {
  label: 'url',
  parse(value) {
    if (value === 'memory') return 'memory:';
    if (value !== 'memory:' && !/^sqlite:(?!\/\/).+$/.test(value)) {
      throw badValue(value, 'a store', 'write sqlite: and a path, as sqlite:.shadowcat/state.db, or memory:');
    }
    return value;
  },
  show: (value) => value,
  schema: { type: 'string', pattern: '^(memory:?$|sqlite:.)' },
};
