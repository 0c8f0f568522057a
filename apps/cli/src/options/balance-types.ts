import type { BalancePolicy, HashOn } from '@shadowcat/upstream';
import { badValue, type OptionType } from './option-type.js';
import { oneOf } from './scalar-types.js';

/** How a group shares out what is new. */
export const balancePolicy: OptionType<BalancePolicy> = oneOf(
  'round-robin',
  'weighted',
  'least-connections',
  'power-of-two',
  'random',
  'hash',
);

/** What a `hash` group looks at. */
export const hashKey: OptionType<HashOn> = {
  label: 'credential|session|header:NAME',
  parse(value) {
    if (value === 'credential' || value === 'session') return value;
    const field = /^header:\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)$/.exec(value)?.[1];
    if (field === undefined) throw badValue(value, 'something to hash', 'write credential, session or header:X-User');
    return { header: field.toLowerCase() };
  },
  show: (value) => (typeof value === 'string' ? value : `header:${value.header}`),
  schema: { type: 'string', pattern: '^(credential|session|header:.+)$' },
};
