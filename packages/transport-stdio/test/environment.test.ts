import { describe, expect, it } from 'vitest';
import { childEnvironment } from '../src/index.js';

describe('the environment of a child', () => {
  it('has what is on the list and what the user adds, nothing else', () => {
    const own = {
      PATH: '/bin',
      HOME: '/root',
      LC_TIME: 'de_DE',
      SSL_CERT_FILE: '/etc/ca.pem',
      AWS_SECRET_ACCESS_KEY: 'x',
      HTTPS_PROXY: 'http://user:password@proxy',
      SHELL: '() { :;}; evil',
      NODE_OPTIONS: '-r x',
    };
    expect(childEnvironment(own, { TOKEN: 't', HOME: '/other' })).toEqual({
      PATH: '/bin',
      HOME: '/other',
      LC_TIME: 'de_DE',
      SSL_CERT_FILE: '/etc/ca.pem',
      TOKEN: 't',
    });
  });
});
