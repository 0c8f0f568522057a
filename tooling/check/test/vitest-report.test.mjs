import { expect, it } from 'vitest';
import VitestReportWriter from '../vitest-report.mjs';

it('knows which files and tests are under way', () => {
  const writer = new VitestReportWriter();
  const file = (/** @type {string} */ name) => /** @type {never} */ ({ id: name, moduleId: `/somewhere/${name}` });
  const test = (/** @type {string} */ fullName) =>
    /** @type {never} */ ({ id: fullName, fullName, module: file('a.test.ts') });
  for (const name of ['a.test.ts', 'b.test.ts']) writer.onTestModuleQueued(file(name));
  for (const name of ['ends', 'hangs']) writer.onTestCaseReady(test(name));
  writer.onTestCaseResult(test('ends'));
  writer.onTestModuleEnd(file('b.test.ts'));
  expect(writer.underWay()).toEqual(['a.test.ts', 'a.test.ts: hangs']);
});
