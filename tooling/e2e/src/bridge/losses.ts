import { compareConformance, type Regression, type Requirements } from '../conformance.js';
import type { FixtureWire } from '../conformance-runs.js';
import type { Crossed } from './run-bridge.js';

/** Checks that come out worse across the bridge than without it, and why. Every other check is as good. */
export interface Loss {
  readonly requirements: Requirements;
  readonly scenario: string;
  readonly checks: readonly string[];
  /** Sentences of the page. */
  readonly reason: string;
}

const NO_NAMES =
  'The suite looks for a question by the name that the server gave it in `inputRequests`. A legacy server asks with a request ' +
  'of its own, which has an id but no name; the bridge makes one up.';
const ONE_BY_ONE =
  'A legacy server asks with a request for each question. The bridge puts each to the client as it comes, one a round-trip; ' +
  'the suite wants to see three in one answer.';
const OWN_WORDS =
  'A legacy server has no error for a capability that its client lacks. This one says so in the text of a failed tool, which ' +
  'cannot be told from other failures.';
const NO_STREAMS =
  'Answers that come at once are JSON across the bridge, as the revision allows; the check looks at event streams only.';
const NOTHING_TO_RESUME =
  'A modern server cannot close the stream of a call and have its client come back: the tool of this scenario fails there at ' +
  'once. Streams that the client loses are resumed from the log of the proxy.';

const LOSSES: readonly Loss[] = [
  {
    requirements: '2026-07-28',
    scenario: 'input-required-result-basic-elicitation',
    checks: ['sep-2322-elicitation-incomplete', 'sep-2322-elicitation-complete'],
    reason: NO_NAMES,
  },
  {
    requirements: '2026-07-28',
    scenario: 'input-required-result-ignore-extra-params',
    checks: ['sep-2322-ignore-unexpected-params'],
    reason: NO_NAMES,
  },
  {
    requirements: '2026-07-28',
    scenario: 'input-required-result-multiple-input-requests',
    checks: ['sep-2322-multiple-inputs-incomplete', 'sep-2322-multiple-inputs-complete'],
    reason: ONE_BY_ONE,
  },
  {
    requirements: '2026-07-28',
    scenario: 'server-stateless',
    checks: ['sep-2575-server-rejects-undeclared-capability', 'sep-2575-missing-capability-http-400'],
    reason: OWN_WORDS,
  },
  {
    requirements: '2025-11-25',
    scenario: 'server-sse-multiple-streams',
    checks: ['server-sse-streams-functional'],
    reason: NO_STREAMS,
  },
  {
    requirements: '2025-11-25',
    scenario: 'server-sse-polling',
    checks: [
      'outgoing-request',
      'incoming-response',
      'incoming-sse-event',
      'stream-closed',
      'server-sse-priming-event',
      'server-sse-retry-field',
      'server-sse-disconnect-resume',
    ],
    reason: NOTHING_TO_RESUME,
  },
];

/** The checks that are worse across the bridge. */
export function lostChecks(crossed: Crossed, wire: FixtureWire): Regression[] {
  return compareConformance(crossed.direct, crossed[wire]);
}

export function lossOf(
  requirements: Requirements,
  { scenario, check }: { readonly scenario: string; readonly check: string },
): Loss | undefined {
  return LOSSES.find(
    (loss) => loss.requirements === requirements && loss.scenario === scenario && loss.checks.includes(check),
  );
}
