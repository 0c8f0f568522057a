// The few web globals that PURE packages may use. Everything else of the outside world is absent on purpose:
// a PURE package that needs time takes a `Clock`, one that needs bytes from elsewhere takes a port.

type AbortSignalEventListener = () => void;
interface AbortSignal {
  readonly aborted: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: the platform's own type, the reason can be anything
  readonly reason: any;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: AbortSignalEventListener, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: AbortSignalEventListener): void;
}
declare const AbortSignal: {
  abort(reason?: unknown): AbortSignal;
  any(signals: Iterable<AbortSignal>): AbortSignal;
};
interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}
declare const AbortController: { new (): AbortController };

interface TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>;
}
declare const TextEncoder: { new (): TextEncoder };
interface TextDecoder {
  decode(bytes?: Uint8Array, options?: { stream?: boolean }): string;
}
declare const TextDecoder: { new (label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean }): TextDecoder };

interface URL {
  readonly href: string;
  readonly origin: string;
  readonly protocol: string;
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly pathname: string;
  readonly search: string;
  readonly username: string;
  readonly password: string;
}
declare const URL: {
  new (url: string, base?: string): URL;
  canParse(url: string, base?: string): boolean;
};

declare function atob(data: string): string;
declare function btoa(data: string): string;
