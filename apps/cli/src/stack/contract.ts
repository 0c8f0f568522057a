import type { Log } from '@shadowcat/kernel';
import type { MirroredMethod } from '@shadowcat/shadow';
import type { Level, RedactionOptions, ReplayTime, Rung } from '@shadowcat/tape';
import type { BalancePolicy, HashOn, RouteMatch } from '@shadowcat/upstream';
import type { ReportTarget } from '../reports/publish.js';

/** Where the proxy listens. Port 0 lets the system pick one. */
export interface ListenAddress {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** What a server of either kind may have. */
interface AnyTarget {
  /** Its share of what is new, relative to the others'. Default 1; 0: nothing new. */
  readonly weight?: number;
  /** Default 0; a higher number is used only while no member with a lower one is available. */
  readonly priority?: number;
}

/** A server that is reached over the network. */
export interface UrlTarget extends AnyTarget {
  readonly kind: 'url';
  /** `http`: Streamable HTTP; `ws`: WebSocket, subprotocol `mcp`; `sse`: the legacy HTTP+SSE pair. */
  readonly transport: 'http' | 'ws' | 'sse';
  /** For people and for the store: its name, or the address as it was given. Unique among the targets, never with credentials. */
  readonly name: string;
  /** `http(s):` or `ws(s):`; the prefix `sse+` is gone. */
  readonly url: string;
  /** Added to each request over those of all upstreams; names in lower case. Secret. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server that is a command of ours, spoken to over its stdin and stdout. No shell is involved. */
export interface CommandTarget extends AnyTarget {
  readonly kind: 'command';
  /** For people and for the store: its name, or the command's base name. Unique among the targets. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Absolute. */
  readonly cwd: string;
  /** What the user adds to the allow-listed environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Its children alive at the same time, where that differs from what is said for all. */
  readonly maxChildren?: number;
}

/** One server to send to. */
export type Target = CommandTarget | UrlTarget;

/** One or more servers, each with a name of its own. */
export type Targets = readonly [Target, ...Target[]];

/** Targets that can stand in for each other. */
export interface GroupConfig {
  readonly name: string;
  /** Names of targets; at least one. */
  readonly members: readonly string[];
  readonly balance: BalancePolicy;
  /** With `hash`: what equal clients have in common. */
  readonly hashOn: HashOn;
  /** How long a member that comes back takes to its whole share. 0: no time. */
  readonly slowStartMs: number;
  /**
   * Absent: the members stand in for each other. Else they are shown as one server, and this says which names get their
   * member's in front: those that several have, or all. Members may be groups then.
   */
  readonly combine?: 'collisions' | 'always';
}

/** Where some requests go. */
export interface RouteConfig {
  readonly match: RouteMatch;
  /** The name of a group. */
  readonly to: string;
}

/** A second server that is asked the same, for comparison. */
export interface MirrorConfig {
  /** The group whose requests are mirrored. */
  readonly from: string;
  /** The group that is asked as well; it shares no target with the other one. */
  readonly to: string;
  /** Between 0 and 1. */
  readonly share: number;
  readonly methods: readonly MirroredMethod[];
  /** Whether tools are called that do not say that they only read. */
  readonly effects: boolean;
  /** JSON pointers within the result that are not compared. */
  readonly ignore: readonly string[];
  /** For one answer of the second server. */
  readonly timeoutMs: number;
  readonly maxInFlight: number;
  /** Absolute path of the file that differences are kept in. */
  readonly findings: string;
}

/** Who may talk to the listener. */
export interface AccessConfig {
  /** Clients must send `Authorization: Bearer <token>` (compared in constant time); `undefined`: nobody is asked. */
  readonly token: string | undefined;
  /** Host values accepted besides the listener's own (lower case, port optional), from `--allow-host`. */
  readonly allowHosts: readonly string[];
  /** Origins accepted besides the listener's own, such as `https://app.example`, from `--allow-origin`. */
  readonly allowOrigins: readonly string[];
  /** The endpoint as clients know it, where TLS or another name stands in front; `undefined`: as their `Host` says. */
  readonly publicUrl: string | undefined;
  /** Who may read /health and /metrics: only this machine, anyone who reaches the port, or nobody. */
  readonly admin: 'loopback' | 'any' | 'off';
}

/** How upstreams with an address are spoken to. */
export interface UpstreamConfig {
  /** Added to each request, names in lower case, from `--header`. Secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether the client's own `Authorization` goes to the upstream. */
  readonly forwardAuthorization: boolean;
  readonly connectTimeoutMs: number;
  /** From the request sent to the first byte of its answer. 0: no limit. */
  readonly firstByteTimeoutMs: number;
  /** What happens to a session that its upstream lost: opened again with the remembered `initialize`, or 404. */
  readonly onLoss: 'recover' | 'fail';
  /** How long the lists of a combined group wait for a member. */
  readonly listTimeoutMs: number;
  /** Whether clients and targets that share no revision are translated for, or hear each other's refusal. */
  readonly bridge: 'auto' | 'off';
  /** How long a server's question waits for its client where it is translated. */
  readonly bridgeHoldMs: number;
  /** Questions that wait at the same time; more are refused to the server. */
  readonly maxBridgeQuestions: number;
  /** Sessions that the bridge has open for modern clients, for each target. */
  readonly maxBridgeSessions: number;
}

/** The pool of children. Also bounds the lines to WebSocket and legacy SSE upstreams. */
export interface ChildrenConfig {
  readonly isolation: 'session' | 'shared' | 'request';
  /** Children alive at the same time. */
  readonly max: number;
  /** Those of them for sessions of one credential. */
  readonly maxPerCredential: number;
  /** A child that is older is replaced when nobody uses it. `Infinity`: never. */
  readonly maxAgeMs: number;
  /** Children that run before anybody asks for them. */
  readonly warm: number;
  /** Requests that may wait for a child; more get `pool_exhausted` at once. */
  readonly maxQueue: number;
  /** How long one waits at most; then `pool_exhausted`. */
  readonly queueTimeoutMs: number;
  /** The longest line a child may write, in bytes. */
  readonly maxLine: number;
}

/** How upstreams and their clients are protected from each other. Shares are between 0 and 1. */
export interface ProtectionConfig {
  /** For a request to the end of its answer, whatever happens meanwhile. 0: no limit. */
  readonly totalMs: number;
  /** For the next byte of an answer that has begun. 0: no limit. */
  readonly idleMs: number;
  /** Requests at the same time; more get `pool_exhausted` at once. */
  readonly maxInFlight: number;
  readonly breaker: {
    /** In a row. 0: it never opens. */
    readonly failures: number;
    readonly ratio: number;
    readonly minimum: number;
    readonly windowMs: number;
    readonly openMs: number;
    /** The share of a group that may be kept out at the same time. */
    readonly maxEjection: number;
  };
  readonly health: {
    readonly check: 'suspect' | 'all' | 'off';
    readonly intervalMs: number;
    readonly jitter: number;
    readonly timeoutMs: number;
    readonly rise: number;
    readonly fall: number;
  };
  readonly retry: {
    /** The first one included. */
    readonly attempts: number;
    /** The share of requests that may be sent again. */
    readonly budget: number;
    readonly minimum: number;
    /** Tools that may be called twice. */
    readonly tools: readonly string[];
    /** Whether tools are believed that say so. */
    readonly hints: boolean;
  };
  /** 0: never. */
  readonly hedgeAfterMs: number;
}

export interface SessionsConfig {
  /** Where sessions are kept: `memory:`, or `sqlite:` and an absolute path. */
  readonly store: string;
  /** A session that nothing was heard of for this long ends. */
  readonly idleMs: number;
  readonly max: number;
  readonly maxPerCredential: number;
  /** What is kept of streams for clients that were cut: for each session, and in all. Sizes in bytes. */
  readonly resume: { readonly events: number; readonly bytes: number; readonly totalBytes: number };
}

export interface RecordingConfig {
  /** `directory`: a tape per session, and one for what has none. `file`: everything on one tape. */
  readonly kind: 'directory' | 'file';
  /** Absolute. A file's name ends in `.tape.jsonl`. */
  readonly path: string;
  /** Whether traffic is refused when it cannot be recorded. */
  readonly required: boolean;
  /** Whether every write is followed by fdatasync, so that a power cut loses only what is being written. */
  readonly durable: boolean;
  /** What happens where the disk is slower than the traffic: it waits, or records are left out. */
  readonly onFull: 'wait' | 'drop';
  /** What is hidden on the tapes, over the built-in rules. */
  readonly redaction: RedactionOptions;
}

/** Bounds on what clients may send and how long they may take. Sizes in bytes. */
export interface LimitsConfig {
  readonly maxBody: number;
  /** Messages in one JSON-RPC batch. */
  readonly maxBatch: number;
  readonly maxJsonDepth: number;
  readonly maxJsonNodes: number;
  /** All headers of one request. */
  readonly maxHeaderSize: number;
  /** Header fields of one request. */
  readonly maxHeaders: number;
  /** Connections of clients at the same time. */
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  /** For the whole of a request's body to arrive. */
  readonly requestTimeoutMs: number;
  /** What may wait to be sent on one stream before its client is dropped. */
  readonly maxStreamQueue: number;
}

/** What stands between a client and its targets, however the client is connected. */
export interface ProxyConfig {
  readonly targets: Targets;
  /** What matches no route goes to the first one. */
  readonly groups: readonly [GroupConfig, ...GroupConfig[]];
  /** The first that matches counts. */
  readonly routes: readonly RouteConfig[];
  /** Absent: nothing is mirrored. */
  readonly mirror?: MirrorConfig | undefined;
  readonly upstream: UpstreamConfig;
  readonly children: ChildrenConfig;
  readonly sessions: SessionsConfig;
  readonly recording: RecordingConfig | undefined;
  readonly protection: ProtectionConfig;
  readonly limits: LimitsConfig;
  /** Modules that export interceptors, outermost first: `file:` URLs or package names, to be given to `import()`. */
  readonly interceptors: readonly string[];
  /** A comment is sent on a stream that was silent for this long. 0: never. */
  readonly keepAliveMs: number;
  /** How long a shutdown waits for what is in flight. */
  readonly drainMs: number;
}

/** `shadowcat reverse`, and `shadowcat record` without `--stdio`. */
export interface ReverseConfig extends ProxyConfig {
  readonly listen: ListenAddress;
  /** The endpoint's path, such as `/mcp`. */
  readonly path: string;
  readonly access: AccessConfig;
}

/** `shadowcat record --stdio`: one client, on our own stdin and stdout. */
export interface RecordStdioConfig extends ProxyConfig {
  readonly recording: RecordingConfig;
}

/** `shadowcat replay`. */
export interface ReplayConfig {
  /** `undefined`: on our own stdin and stdout. */
  readonly listen: ListenAddress | undefined;
  readonly path: string;
  readonly access: AccessConfig;
  /** Absolute paths of tapes that exist; at least one. */
  readonly tapes: readonly string[];
  /** Whether recordings that nobody asked for make the exit code 1. */
  readonly allUsed: boolean;
  /** Absolute paths of files that say what a test changes about the tapes. */
  readonly overlays: readonly string[];
  /** Whether only to tell which rules of the overlay touch nothing. */
  readonly dryRun: boolean;
  readonly time: ReplayTime;
  /** The loosest rung of matching that counts. */
  readonly maxRung: Rung;
  /** How long a client may leave what the tape waits for undone; absent: for as long as it likes. */
  readonly giveUpMs?: number;
  readonly reports: readonly ReportTarget[];
  /** The rules of the recording. */
  readonly redaction: RedactionOptions;
  readonly limits: LimitsConfig;
  readonly keepAliveMs: number;
  readonly drainMs: number;
}

/** `shadowcat verify`. */
export interface VerifyConfig {
  /** Absolute paths of tapes that exist; at least one. */
  readonly tapes: readonly string[];
  readonly target: Target;
  readonly upstream: Pick<UpstreamConfig, 'headers' | 'connectTimeoutMs'> & {
    /** How long an answer may take. */
    readonly answerMs: number;
  };
  /** The longest line a child may write, in bytes. */
  readonly maxLine: number;
  readonly level: Level;
  /** How often the tapes are played to learn what varies. `undefined`: once, and nothing is learned. */
  readonly learn: number | undefined;
  readonly update: boolean;
  readonly allowEffects: boolean;
  /** Absolute paths of files that say what may differ. */
  readonly overlays: readonly string[];
  readonly reports: readonly ReportTarget[];
  /** The rules of the recording. */
  readonly redaction: RedactionOptions;
  /** Whether to tell how far it is. */
  readonly progress: boolean;
}

/** What a run sees of the process it runs in. */
export interface Io {
  /** Writes one line of data to stdout: the endpoint's URL once it accepts connections. Never used with `--stdio`. */
  readonly print: (line: string) => void;
  /** Writes plain lines for a person to stderr, apart from the log: replay's summary and misses. */
  readonly tell: (text: string) => void;
  /** Writes to the terminal that stderr is, without ending the line: for what is drawn over. Absent where it is none. */
  readonly draw?: (text: string) => void;
  readonly log: Log;
  /** Aborted at the first SIGTERM or SIGINT: stop accepting, finish what is in flight, end. The reason is the signal's name. */
  readonly stop: AbortSignal;
  /** Runs `set` with the weights of the configuration, by target, each time it was read again. */
  readonly onWeights?: (set: (weights: Readonly<Record<string, number>>) => void) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

/**
 * What the commands start. Each function resolves, when everything it opened is closed again, with the exit code:
 * after `io.stop` was aborted, or with `--stdio` after stdin ended. It rejects when it could not start, or broke for good;
 * the command turns a `ProxyError` into one plain line and an exit code.
 */
export interface Stack {
  runReverse(config: ReverseConfig, io: Io): Promise<number>;
  runRecordStdio(config: RecordStdioConfig, io: Io): Promise<number>;
  runReplay(config: ReplayConfig, io: Io): Promise<number>;
  runVerify(config: VerifyConfig, io: Io): Promise<number>;
}
