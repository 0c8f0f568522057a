import { asObject, type JsonObject, META_VERSION, objectAt, VERSION_HEADER } from '@shadowcat/wire';
import type { RecordedLane, Recording, Step } from '../recording.js';
import { NO_SESSION, type SessRecord } from '../records.js';
import { type Attributes, SPAN_KIND, type SpanEvent, type SpanLink, type SpanParts } from './otlp-span.js';
import type { TapeExchange } from './tape-exchanges.js';

/** W3C Trace Context, `traceparent`, version 00; ids of zeros are none. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}$/;

/** One lane of a tape, and what the tape knows about its lines. */
export interface LaneParts {
  readonly lane: RecordedLane;
  /** What the session is called: no tape has its real id. */
  readonly session: string;
  readonly about: SessRecord | undefined;
  /** The exchange that a line belongs to. */
  readonly exchangeAt: (line: number) => TapeExchange | undefined;
  /** Of a line, in microseconds. */
  readonly micros: (line: number) => number;
  /** The first line of the lane, and the last. */
  readonly lines: readonly [first: number, last: number];
  /** An id of `digits` hex digits that is made of the tape and this text. */
  readonly id: (text: string, digits: 16 | 32) => string;
  /** Whether trace context is the client's own; the golden form has the same everywhere. */
  readonly ownTraces: boolean;
}

/** The spans of a lane: its session, below it each request, below that what the server asked meanwhile. */
export function laneSpans(parts: LaneParts): readonly SpanParts[] {
  const { lane } = parts;
  const root = lane.name === NO_SESSION ? undefined : sessionSpan(parts);
  // What a resumed session was opened with is no message of this tape.
  const requests = lane.recordings.filter(({ place }) => parts.exchangeAt(place.line) !== undefined);
  const spans = new Map<Recording, SpanParts>();
  for (const recording of requests) {
    const previous = recording.previous === undefined ? undefined : spans.get(recording.previous);
    spans.set(recording, requestSpan(recording, { parts, root, previous }));
  }
  const asked = [...spans].flatMap(([{ steps }, span]) => askedSpans(steps, span, parts));
  const onStream = root === undefined ? [] : askedSpans(lane.stream, root, parts);
  return [...(root === undefined ? [] : [root]), ...spans.values(), ...asked, ...onStream];
}

function sessionSpan(parts: LaneParts): SpanParts {
  const { lane, about, micros, lines, id } = parts;
  const name = (info: JsonObject | undefined): string | undefined => textOf(info?.['name']);
  return {
    traceId: id(`trace ${lane.name}`, 32),
    spanId: id(`session ${lane.name}`, 16),
    name: 'session',
    kind: SPAN_KIND.internal,
    start: micros(lines[0]),
    end: micros(lines[1]),
    attributes: {
      ...sessionAttributes(parts),
      'shadowcat.client.name': name(about?.client),
      'shadowcat.server.name': name(about?.server),
    },
    events: lane.stream.filter(({ kind }) => kind === 'notification').map((step) => eventOf(step, parts)),
  };
}

interface Surroundings {
  readonly parts: LaneParts;
  readonly root: SpanParts | undefined;
  /** Of an operation in several requests: the one before. */
  readonly previous: SpanParts | undefined;
}

function requestSpan(recording: Recording, { parts, root, previous }: Surroundings): SpanParts {
  const { method, message, place, steps, answer } = recording;
  const { micros, id, ownTraces } = parts;
  const parent = ownTraces ? traceParent(message.value) : undefined;
  const exchange = parts.exchangeAt(place.line);
  const failure = failureOf(recording);
  const links: SpanLink[] = previous === undefined ? [] : [linkTo(previous)];
  if (parent !== undefined && root !== undefined) links.push(linkTo(root));
  return {
    traceId: parent?.traceId ?? root?.traceId ?? id(`trace ${place.line}`, 32),
    spanId: id(`span ${place.line}`, 16),
    parentSpanId: parent?.spanId ?? root?.spanId,
    name: nameOf(method, message.value),
    kind: SPAN_KIND.client,
    start: micros(place.line),
    end: micros(answer?.place.line ?? exchange?.last ?? place.line),
    attributes: {
      ...callAttributes(message),
      ...sessionAttributes(parts),
      'mcp.protocol.version': versionOf(message.value, parts, exchange),
      'error.type': failure?.type,
      'rpc.response.status_code': failure?.code,
      ...networkAttributes(exchange?.reply?.upstream),
      'http.response.status_code': exchange?.reply?.status,
      'shadowcat.tape.line': place.line,
    },
    events: steps.filter(({ kind }) => kind === 'notification').map((step) => eventOf(step, parts)),
    links,
    failed: failure?.message,
  };
}

/** What the server asked the client, as spans below the one that it asked for. */
function askedSpans(steps: readonly Step[], parent: SpanParts, parts: LaneParts): SpanParts[] {
  return steps
    .filter(({ kind }) => kind === 'request')
    .map((step) => {
      const { method = '', value, place, answer } = step;
      const error = answer === undefined ? undefined : errorOf(JSON.parse(answer.text) as unknown);
      return {
        traceId: parent.traceId,
        spanId: parts.id(`span ${place.line}`, 16),
        parentSpanId: parent.spanId,
        name: nameOf(method, value),
        kind: SPAN_KIND.server,
        start: parts.micros(place.line),
        end: answer === undefined ? parent.end : parts.micros(answer.place.line),
        attributes: {
          ...callAttributes(step),
          ...sessionAttributes(parts),
          'mcp.protocol.version': parts.about?.version,
          'error.type': answer === undefined ? 'unanswered' : error?.type,
          'rpc.response.status_code': error?.code,
          'shadowcat.tape.line': place.line,
        },
        failed: answer === undefined ? '' : error?.message,
      };
    });
}

/** What a client sent without an id, and in which line it stands. */
export interface ClientNotification {
  readonly method: string;
  readonly value: JsonObject;
  readonly line: number;
}

/** A notification of the client's: nothing answers it, so it takes as long as its exchange. */
export function notificationSpan(notification: ClientNotification, parts: LaneParts): SpanParts {
  const { method, value, line } = notification;
  const { lane, id, micros } = parts;
  const session = lane.name === NO_SESSION ? undefined : id(`session ${lane.name}`, 16);
  const trace = lane.name === NO_SESSION ? `trace ${line}` : `trace ${lane.name}`;
  return {
    traceId: id(trace, 32),
    spanId: id(`span ${line}`, 16),
    parentSpanId: session,
    name: method,
    kind: SPAN_KIND.client,
    start: micros(line),
    end: micros(parts.exchangeAt(line)?.last ?? line),
    attributes: {
      ...callAttributes(notification),
      ...sessionAttributes(parts),
      'mcp.protocol.version': versionOf(value, parts, parts.exchangeAt(line)),
      'shadowcat.tape.line': line,
    },
  };
}

function eventOf(step: Step, { micros }: LaneParts): SpanEvent {
  const { method = '', place } = step;
  const { 'mcp.method.name': _, ...rest } = callAttributes(step);
  return { at: micros(place.line), name: method, attributes: { ...rest, 'shadowcat.tape.line': place.line } };
}

interface SpanFailure {
  readonly type: string;
  /** Of a JSON-RPC error. */
  readonly code?: string;
  readonly message: string;
}

/** Why a request failed, as the conventions for MCP have it; `undefined` when it did not. */
function failureOf({ method, answer, exit, status }: Recording): SpanFailure | undefined {
  if (answer !== undefined) return errorOf(answer.value);
  // A subscription has no answer: it ends when somebody ends it.
  if (exit === undefined || method === 'subscriptions/listen') return undefined;
  const { end, code, message = '' } = exit;
  if (end === 'answered') return undefined;
  return { type: code ?? (end === 'error' ? String(status) : end), message };
}

function errorOf(response: unknown): SpanFailure | undefined {
  const value = asObject(response);
  const error = asObject(value?.['error']);
  if (error !== undefined) {
    const code = typeof error['code'] === 'number' ? String(error['code']) : '_OTHER';
    return { type: code, code, message: textOf(error['message']) ?? '' };
  }
  return asObject(value?.['result'])?.['isError'] === true ? { type: 'tool_error', message: '' } : undefined;
}

/** Tools and prompts are few; resources are not, so they stay out of names. */
function nameOf(method: string, value: JsonObject): string {
  const target = method === 'tools/call' || method === 'prompts/get' ? textOf(paramsOf(value)['name']) : undefined;
  return target === undefined ? method : `${method} ${target}`;
}

/** What a message asks, or says; its id in its own spelling, since numbers may be longer than JavaScript's. */
interface Said {
  readonly method?: string | undefined;
  readonly value: JsonObject;
  readonly idText?: string | undefined;
}

function callAttributes({ method = '', value, idText }: Said): Attributes {
  const params = paramsOf(value);
  const isTool = method === 'tools/call';
  return {
    'mcp.method.name': method,
    'jsonrpc.request.id': textOf(value['id']) ?? idText,
    'gen_ai.operation.name': isTool ? 'execute_tool' : undefined,
    'gen_ai.tool.name': isTool ? textOf(params['name']) : undefined,
    'gen_ai.prompt.name': method === 'prompts/get' ? textOf(params['name']) : undefined,
    'mcp.resource.uri': method.includes('resources/') ? textOf(params['uri']) : undefined,
  };
}

function sessionAttributes({ lane, session }: LaneParts): Attributes {
  return { 'mcp.session.id': lane.name === NO_SESSION ? undefined : session };
}

/** Of an upstream that is a URL; what a command speaks is not said by its name. */
function networkAttributes(upstream: string | undefined): Attributes {
  if (upstream === undefined || !/^(?:sse\+)?(?:https?|wss?):\/\//.test(upstream)) return {};
  const plain = upstream.replace(/^sse\+/, '');
  if (!URL.canParse(plain)) return {};
  const { hostname, port, protocol } = new URL(plain);
  const standard = protocol === 'https:' || protocol === 'wss:' ? 443 : 80;
  return {
    'network.transport': 'tcp',
    'network.protocol.name': protocol.startsWith('ws') ? 'websocket' : 'http',
    'server.address': hostname,
    'server.port': port === '' ? standard : Number(port),
  };
}

function traceParent(value: JsonObject): SpanLink | undefined {
  const text = textOf(metaOf(value)?.['traceparent']);
  const [, traceId, spanId] = TRACEPARENT.exec(text ?? '') ?? [];
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId };
}

/** The revision that a message was sent in: it says so itself, or its head does, or its session has one. */
function versionOf(value: JsonObject, { lane, about }: LaneParts, exchange?: TapeExchange): string | undefined {
  const said = textOf(metaOf(value)?.[META_VERSION]) ?? exchange?.request?.headers[VERSION_HEADER];
  return said ?? (lane.name === NO_SESSION ? undefined : about?.version);
}

const linkTo = ({ traceId, spanId }: SpanParts): SpanLink => ({ traceId, spanId });
const metaOf = (value: JsonObject): JsonObject | undefined => objectAt(value['params'], '_meta');
const paramsOf = (value: JsonObject): JsonObject => asObject(value['params']) ?? {};
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
