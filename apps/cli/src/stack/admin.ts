import { Body, type Exchange, type Layer, opaqueFraming, ProxyError, type Reply, reply } from '@shadowcat/kernel';
import { hostRule, LOOPBACK_HOSTS } from '@shadowcat/pipeline';
import { peerSlot } from '@shadowcat/wire';
import type { AccessConfig } from './contract.js';

/** One part of the proxy, as `/health/ready` tells it. */
export interface PartHealth {
  readonly ok: boolean;
  /** One plain line, when there is something to say. */
  readonly detail?: string;
  readonly [more: string]: unknown;
}

/** What the admin routes answer with. */
export interface AdminSources {
  /** All parts by name: upstreams, store, recorder. */
  health(): Promise<Readonly<Record<string, PartHealth>>>;
  /** Prometheus text and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

const ROUTES = new Set(['/health/live', '/health/ready', '/metrics']);

/** A page that rebinds its own name to this machine comes from it, too, but says that name. */
const foreignHost = hostRule(LOOPBACK_HOSTS);

/** `127.0.0.0/8`, `::1`, and the former written as the latter's kind. */
function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::ffff:)?127\.|^::1$/.test(address);
}

/**
 * Answers `GET /health/live`, `/health/ready` and `/metrics`; passes everything else on. To those who may not see them the
 * routes do not exist.
 */
export function admin(access: AccessConfig['admin'], sources: AdminSources): Layer {
  const allowed = (exchange: Exchange): boolean =>
    access === 'any' ||
    (access === 'loopback' &&
      isLoopback(exchange.context.get(peerSlot)) &&
      foreignHost(exchange.head.headers) === undefined);
  return (next) => (exchange) => {
    const route = exchange.head.target;
    if (!ROUTES.has(route)) return next(exchange);
    if (!allowed(exchange)) return Promise.reject(new ProxyError('not_found', `nothing is served at ${route}`));
    const { method } = exchange.head;
    if (method !== 'GET' && method !== 'HEAD') {
      const options = { data: { allow: ['GET', 'HEAD'] } };
      return Promise.reject(new ProxyError('method_not_allowed', `${route} takes GET, not ${method}`, options));
    }
    return answer(route, sources);
  };
}

async function answer(route: string, sources: AdminSources): Promise<Reply> {
  if (route === '/metrics') {
    const { text, contentType } = await sources.metrics();
    return textReply(200, contentType, text);
  }
  if (route === '/health/live') return jsonReply(200, { status: 'ok' });
  const parts = await sources.health();
  const ok = Object.values(parts).every((part) => part.ok);
  return jsonReply(ok ? 200 : 503, { status: ok ? 'ok' : 'failing', ...parts });
}

function jsonReply(status: number, value: unknown): Reply {
  return textReply(status, 'application/json', `${JSON.stringify(value, undefined, 2)}\n`);
}

function textReply(status: number, contentType: string, text: string): Reply {
  const bytes = Buffer.from(text);
  const headers = { 'content-type': contentType, 'content-length': String(bytes.length), 'cache-control': 'no-store' };
  return reply({ status, headers }, Body.whole(bytes, opaqueFraming));
}
