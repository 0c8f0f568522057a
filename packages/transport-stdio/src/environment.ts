import process from 'node:process';

const UNIX = [
  // What sudo keeps, and the MCP SDKs.
  'HOME',
  'LOGNAME',
  'PATH',
  'SHELL',
  'TERM',
  'USER',
  // Language, time zone, temporary files; LC_* is added below.
  'LANG',
  'LANGUAGE',
  'TMPDIR',
  'TZ',
  // Paths to certificates: behind a proxy that inspects TLS, a server without them cannot reach anything.
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
];

const WINDOWS = [
  'APPDATA',
  'HOMEDRIVE',
  'HOMEPATH',
  'LOCALAPPDATA',
  'NODE_EXTRA_CA_CERTS',
  'PATH',
  'PATHEXT',
  'PROCESSOR_ARCHITECTURE',
  'PROGRAMFILES',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
  'SYSTEMDRIVE',
  'SYSTEMROOT',
  'TEMP',
  'TMP',
  'USERNAME',
  'USERPROFILE',
];

/**
 * What a child sees of our environment, besides `LC_*` and what the user adds. No variable on it carries a secret. That is why
 * `HTTP_PROXY` and its kin, which may hold a password, are not on it, nor `NODE_OPTIONS`, which is meant for us.
 */
export const INHERITED_VARIABLES: readonly string[] = process.platform === 'win32' ? WINDOWS : UNIX;

/** The environment of a child: {@link INHERITED_VARIABLES} and `LC_*` of `own`, then `extra`. */
export function childEnvironment(
  own: Readonly<Record<string, string | undefined>>,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const environment: Record<string, string> = {};
  const locales = Object.keys(own).filter((name) => name.startsWith('LC_'));
  for (const name of [...INHERITED_VARIABLES, ...locales]) {
    const value = own[name];
    // Exported shell functions look like values; bash has run them on import (CVE-2014-6271).
    if (value !== undefined && !value.startsWith('()')) environment[name] = value;
  }
  return { ...environment, ...extra };
}
