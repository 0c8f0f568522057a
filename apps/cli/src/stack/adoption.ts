import { Body, Context, type Exchange, type Handler, type HeaderMap, withHeaders } from '@shadowcat/kernel';
import type { AdoptionRequest, Adopts } from '@shadowcat/session';
import {
  callSlot,
  classify,
  credentialSlot,
  jsonFraming,
  readMessages,
  requestText,
  sessionSlot,
  trialSlot,
  VERSION_HEADER,
} from '@shadowcat/wire';
import type { UpstreamConfig } from './contract.js';
import { randomName } from './system.js';

/** Of how many credentials it is remembered whom they name; the oldest go first. */
const MAX_SUBJECTS = 10_000;

/**
 * Whom credentials name: issuer and subject of a JWT (RFC 9068), by fingerprint. Unverified, so they prove nothing for
 * anybody; two that name different people are against the claim that they are of one.
 */
export class Subjects {
  readonly #known = new Map<string, string | undefined>();

  note(credential: string, authorization: string): void {
    if (this.#known.has(credential)) return;
    this.#known.set(credential, subjectOf(authorization));
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_SUBJECTS) break;
      this.#known.delete(oldest);
    }
  }

  differ(one: string, other: string): boolean {
    const [a, b] = [this.#known.get(one), this.#known.get(other)];
    return a !== undefined && b !== undefined && a !== b;
  }
}

function subjectOf(authorization: string): string | undefined {
  const [, claims] = /^Bearer +[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(authorization) ?? [];
  if (claims === undefined) return undefined;
  try {
    const { iss, sub } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>;
    return typeof sub === 'string' ? JSON.stringify([iss, sub]) : undefined;
  } catch {
    return undefined;
  }
}

export interface Adoption {
  readonly adopts: Adopts;
  readonly subjects: Subjects;
}

/** How sessions pass from one credential to the next; `undefined` where the upstream does not get the client's. */
export function openAdoption(config: UpstreamConfig, upstream: Handler): Adoption | undefined {
  if (!config.forwardAuthorization) return undefined;
  const subjects = new Subjects();
  return { adopts: upstreamDecides(upstream, subjects), subjects };
}

/**
 * Lets the upstream decide who may go on with a session of its own. It must have
 * shown that it checks credentials, by refusing the session's own or a request without any, and it must take a request of
 * this session (`tools/list`, which changes nothing) with the new one.
 */
function upstreamDecides(upstream: Handler, subjects: Subjects): Adopts {
  const status = async (asked: AdoptionRequest, authorization: HeaderMap[string]): Promise<number> => {
    await using answer = await upstream(listExchange(asked, authorization));
    return answer.head.status;
  };
  return async (asked) => {
    const { credential, refused, exchange } = asked;
    if (subjects.differ(credential, exchange.context.get(credentialSlot) ?? '')) return false;
    if (credential !== '' && !refused && !isRefusal(await status(asked, undefined))) return false;
    const accepted = await status(asked, exchange.head.headers['authorization']);
    return accepted >= 200 && accepted < 300;
  };
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

function listExchange({ session, exchange }: AdoptionRequest, authorization: HeaderMap[string]): Exchange {
  const text = requestText(JSON.stringify(`adoption-${randomName()}`), 'tools/list');
  const headers = withHeaders(exchange.head.headers, {
    authorization,
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    'content-length': undefined,
    'last-event-id': undefined,
    [VERSION_HEADER]: session.protocolVersion,
  });
  const bytes = new TextEncoder().encode(text);
  const head = { method: 'POST', target: exchange.head.target, headers };
  const context = new Context();
  context.set(callSlot, classify(head, readMessages(bytes).messages, false));
  context.set(sessionSlot, session);
  // Servers answer as if the session were lost when it is another's.
  context.set(trialSlot, true);
  const credential = exchange.context.get(credentialSlot);
  if (credential !== undefined && authorization !== undefined) context.set(credentialSlot, credential);
  return {
    id: `${exchange.id}.adoption`,
    head,
    body: Body.whole(bytes, jsonFraming),
    signal: exchange.signal,
    context,
  };
}
