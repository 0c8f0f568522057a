import { ProxyError } from '@shadowcat/kernel';

/** The URL as it may be shown: without credentials and query, which may hold a token. */
export function socketName(url: string): string {
  if (!URL.canParse(url)) return 'the WebSocket URL';
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused; is the server running, and is the port right?',
  ECONNRESET: 'the server closed the connection during the opening',
  ENOTFOUND: 'there is no such host; check its name',
  EAI_AGAIN: 'its name could not be looked up just now',
  ETIMEDOUT: 'the network gave no answer',
  EHOSTUNREACH: 'there is no way to this host',
  ENETUNREACH: 'there is no way to this network',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed; name its authority in NODE_EXTRA_CA_CERTS',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is self-signed; name its authority in NODE_EXTRA_CA_CERTS',
};

/** Why no connection came about. */
export function unreachableError(name: string, thrown: Error): ProxyError {
  const { code } = thrown as NodeJS.ErrnoException;
  const options = { cause: thrown, ...(code === undefined ? {} : { data: { errno: code } }) };
  // These are found in the server's answer to the opening: there is a server, and it is not one of ours.
  if (thrown instanceof SyntaxError || /subprotocol|Sec-WebSocket|Upgrade header/i.test(thrown.message)) {
    return new ProxyError(
      'upstream_protocol',
      `cannot speak MCP over WebSocket with ${name}: ${thrown.message}`,
      options,
    );
  }
  const words = (code === undefined ? undefined : WORDS[code]) ?? (thrown.message || code || 'unknown reason');
  return new ProxyError('upstream_unreachable', `cannot reach ${name}: ${words}`, options);
}

/** An HTTP answer instead of an upgrade. */
export function unwillingError(name: string, status: number): ProxyError {
  const message = `${name} answered HTTP ${status} instead of opening a WebSocket; check the path, and the credentials if it wants any`;
  // Gateways answer so for a server that is down; trying another target, or later, may help.
  const down = status === 502 || status === 503 || status === 504;
  return new ProxyError(down ? 'upstream_unreachable' : 'upstream_protocol', message, { data: { status } });
}
