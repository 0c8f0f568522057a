// A reporter for `node --test` that writes what is counted of Vitest's JSON report, so that both are read alike.

/**
 * @typedef {{ type: string, data: { name: string, file?: string, details?: { type?: string, error?: TestError } } }} TestEvent
 * @typedef {{ cause?: unknown, message: string, failureType?: string }} TestError
 */

/**
 * @param {AsyncIterable<TestEvent>} events
 * @returns {AsyncGenerator<string>}
 */
// biome-ignore lint/style/noDefaultExport: node takes a reporter from there
export default async function* nodeTestReport(events) {
  const files = /** @type {Map<string, Array<{ status: string, fullName: string, failureMessages: string[] }>>} */ (
    new Map()
  );
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const failed = type === 'test:fail';
    // A suite fails with its tests, which count already, or by itself.
    if (data.details?.type === 'suite' && !(failed && isOwn(data.details.error))) continue;
    const file = data.file ?? '';
    const { error } = data.details ?? {};
    const result = { status: failed ? 'failed' : 'passed', fullName: data.name, failureMessages: messages(error) };
    files.set(file, [...(files.get(file) ?? []), result]);
  }
  const all = [...files.values()].flat();
  const count = (/** @type {string} */ status) => all.filter((test) => test.status === status).length;
  const testResults = [...files].map(([name, assertionResults]) => ({
    name,
    status: assertionResults.some(({ status }) => status === 'failed') ? 'failed' : 'passed',
    assertionResults,
  }));
  yield JSON.stringify({ numPassedTests: count('passed'), numFailedTests: count('failed'), testResults });
}

/** @param {TestError | undefined} error */
function messages(error) {
  if (error === undefined) return [];
  return [error.cause instanceof Error ? error.cause.message : error.message];
}

/** @param {TestError | undefined} error */
function isOwn(error) {
  return error?.failureType !== 'subtestsFailed';
}
