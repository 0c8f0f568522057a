import { describe, expect, it } from 'vitest';
import { rewriteChallenges } from '../src/auth-challenge.js';

const NEW = 'http://proxy:1/.well-known/oauth-protected-resource/mcp';
const OLD = 'https://up.example/.well-known/oauth-protected-resource';

describe('resource_metadata', () => {
  it.each<[what: string, field: string, expected: string]>([
    ['alone', `Bearer resource_metadata="${OLD}"`, `Bearer resource_metadata="${NEW}"`],
    [
      'between others',
      `Bearer realm="a", resource_metadata="${OLD}" , scope="x y"`,
      `Bearer realm="a", resource_metadata="${NEW}" , scope="x y"`,
    ],
    ['in another case', `bearer Resource_Metadata="${OLD}"`, `bearer Resource_Metadata="${NEW}"`],
    ['with spaces around', `Bearer resource_metadata = "${OLD}"`, `Bearer resource_metadata = "${NEW}"`],
    ['without quotes', `Bearer resource_metadata=${OLD}, scope=x`, `Bearer resource_metadata="${NEW}", scope=x`],
    [
      'after a challenge with token68',
      `Negotiate abc+/==, Bearer resource_metadata="${OLD}"`,
      `Negotiate abc+/==, Bearer resource_metadata="${NEW}"`,
    ],
    [
      'of several challenges',
      `DPoP algs="ES256", resource_metadata="${OLD}", Bearer resource_metadata="${OLD}"`,
      `DPoP algs="ES256", resource_metadata="${NEW}", Bearer resource_metadata="${NEW}"`,
    ],
    ['with quoted pairs', 'Bearer resource_metadata="https:\\/\\/up.example/x"', `Bearer resource_metadata="${NEW}"`],
  ])('%s is replaced', (_what, field, expected) => {
    expect(rewriteChallenges(field, NEW).field).toBe(expected);
  });

  it.each([
    ['Bearer'],
    ['Bearer realm="x", error="invalid_token"'],
    ['Basic realm="resource_metadata"'],
    [`Bearer error_description="look at resource_metadata=${OLD}, please"`],
    [`Bearer error_description="a \\" resource_metadata=\\"${OLD}\\""`],
    [`Bearer x_resource_metadata="${OLD}"`],
    ['Bearer resource_metadata="not a url"'],
    ['Bearer resource_metadata=""'],
    ['Bearer resource_metadata=="'],
    ['Bearer realm="never ends, resource_metadata=x'],
    [''],
    [',,, ,'],
  ])('%s stays as it is', (field) => {
    expect(rewriteChallenges(field, NEW)).toEqual({ field, named: [] });
  });

  it('says what was there, without its quotes', () => {
    const { named } = rewriteChallenges(
      `Bearer resource_metadata="https://a/b\\?c", DPoP resource_metadata=${OLD}`,
      NEW,
    );
    expect(named).toEqual(['https://a/b?c', OLD]);
  });
});
