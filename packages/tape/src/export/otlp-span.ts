/** Values of the OTLP protocol's own enums (opentelemetry/proto/trace/v1/trace.proto); JSON has them as numbers. */
export const SPAN_KIND = { internal: 1, server: 2, client: 3 } as const;
const STATUS_ERROR = 2;

/** What an attribute may be: text, a whole number, or absent. */
export type AttributeValue = string | number | undefined;
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** A span before it is JSON. Times are microseconds since 1970, ids lower-case hex. */
export interface SpanParts {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string | undefined;
  readonly name: string;
  readonly kind: (typeof SPAN_KIND)[keyof typeof SPAN_KIND];
  readonly start: number;
  readonly end: number;
  readonly attributes: Attributes;
  readonly events?: readonly SpanEvent[];
  readonly links?: readonly SpanLink[];
  /** That it failed, and why. */
  readonly failed?: string | undefined;
}
export interface SpanEvent {
  readonly at: number;
  readonly name: string;
  readonly attributes: Attributes;
}
export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
}

/** A span in the JSON of OTLP 1 (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"): ids in hex, 64-bit numbers as text. */
export function spanJson(parts: SpanParts): object {
  const { traceId, spanId, parentSpanId, name, kind, start, end, attributes, failed } = parts;
  const { events = [], links = [] } = parts;
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    name,
    kind,
    startTimeUnixNano: nanos(start),
    endTimeUnixNano: nanos(Math.max(start, end)),
    attributes: attributesJson(attributes),
    ...(events.length === 0 ? {} : { events: events.map(eventJson) }),
    ...(links.length === 0 ? {} : { links }),
    status: failed === undefined ? {} : { code: STATUS_ERROR, ...(failed === '' ? {} : { message: failed }) },
  };
}

/** The members that have a value. */
export function attributesJson(attributes: Attributes): object[] {
  return Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return [{ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } }];
  });
}

function eventJson({ at, name, attributes }: SpanEvent): object {
  return { timeUnixNano: nanos(at), name, attributes: attributesJson(attributes) };
}

const nanos = (micros: number): string => (BigInt(micros) * 1000n).toString();
