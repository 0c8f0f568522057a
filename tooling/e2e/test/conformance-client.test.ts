import { expect, it } from 'vitest';
import { runClientConformance } from '../src/client-conformance.js';
import { compareConformance } from '../src/conformance.js';

/** What cannot come out the same through a proxy, check by check. */
const BY_CONSTRUCTION = new Set([
  // The suite's log of what its server saw, without a judgement.
  'incoming-request',
  'outgoing-response',
  // Wants the `resource` that the suite's server published; through the proxy clients name the proxy's URL.
  'resource-parameter-matches-prm',
  // The same for the grant that the suite's authorization server is shown.
  'complete-flow-jwt-bearer',
]);
/** Whose grant the authorization server refuses for that reason: no call with a token follows, and there is nothing to check. */
const NO_TOKEN = { scenario: 'auth/enterprise-managed-authorization', check: 'valid-bearer-token' };
/** Counted once for each time that the server is asked; the proxy keeps its metadata for a minute and asks once. */
const ASKED_ONCE = 'prm-pathbased-requested';

/** Scenarios that the suite runs besides the required ones and that cannot pass here, and why. */
const CANNOT_PASS: Readonly<Record<string, string>> = {
  'auth/dpop': 'a proof names the URL that it is for (RFC 9449, 4.2): the one of the proxy, which the server refuses',
  'auth/dpop-nonce': 'the same',
  'json-schema-2020-12-preservation': 'the official client does not repeat the schemas of tools in its calls',
};

it.each(['2025-11-25', '2026-07-28'] as const)(
  '%s: no check of a client is worse through the proxy than direct',
  async (requirements) => {
    const direct = await runClientConformance(requirements, 'direct');
    const proxied = await runClientConformance(requirements, 'proxied');
    const asked = new Set(
      proxied.scenarios
        .filter(({ checks }) => checks.some(({ id, status }) => id === ASKED_ONCE && status === 'SUCCESS'))
        .map(({ name }) => name),
    );
    const worse = compareConformance(direct, proxied)
      .filter(({ check }) => !BY_CONSTRUCTION.has(check))
      // Some checks exist only where they fail.
      .filter((regression) => !(regression.direct === 'FAILURE' && regression.proxied === undefined))
      .filter(({ check, scenario, proxied: status }) => !(check === ASKED_ONCE && !status && asked.has(scenario)));
    const unexplained = worse.filter(
      ({ check, scenario, proxied: status }) =>
        !(scenario === NO_TOKEN.scenario && check === NO_TOKEN.check && status === undefined),
    );
    expect(unexplained).toEqual([]);
    const besides = proxied.scenarios.filter(({ scored }) => !scored);
    const failing = besides
      .map(({ name, checks, said }) => ({
        name,
        failed: checks.filter(({ id, status }) => status === 'FAILURE' && !BY_CONSTRUCTION.has(id)),
        said,
      }))
      .filter(({ name, failed }) => failed.length > 0 && !(name in CANNOT_PASS));
    expect(failing).toEqual([]);
  },
  520_000,
);
