import { describe, expect, it } from 'vitest';
import { compareVersions, isNewEnough, MIN_NODE, nodePackageFor } from '../lib/versions.mjs';

describe('compareVersions', () => {
  it.each([
    ['22.19.0', '22.19.0', 0],
    ['v22.19.0', '22.19.0', 0],
    ['22.9.0', '22.19.0', -1],
    ['18.20.8', '22.19.0', -1],
    ['24.0.0', '22.19.0', 1],
    ['22.19', '22.19.0', 0],
    ['22.19.1-nightly.3', '22.19.0', 1],
  ])('%s against %s', (a, b, sign) => {
    expect(Math.sign(compareVersions(a, b))).toBe(sign);
    expect(Math.sign(compareVersions(b, a))).toBe(0 - sign);
  });
});

describe('isNewEnough', () => {
  it.each([
    ['v18.19.0', false],
    ['v20.20.2', false],
    ['v22.18.0', false],
    ['v22.19.0', true],
    ['v24.21.0', true],
    ['v26.1.0', true],
  ])('%s: %s', (version, expected) => {
    expect(isNewEnough(version)).toBe(expected);
  });
});

describe('nodePackageFor', () => {
  it.each([
    ['linux', 'x64'],
    ['linux', 'arm64'],
    ['darwin', 'x64'],
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['win32', 'arm64'],
  ])('knows a new enough Node for %s-%s', (platform, arch) => {
    const found = nodePackageFor(platform, arch);
    expect(compareVersions(found?.version ?? '0', MIN_NODE)).toBeGreaterThanOrEqual(0);
  });

  it('knows none for a platform that npm carries no Node for', () => {
    expect(nodePackageFor('sunos', 'x64')).toBeUndefined();
  });
});
