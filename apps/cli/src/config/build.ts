import { resolve } from 'node:path';
import { EXIT, problemsError } from '../errors.js';
import { isLoopback } from '../options/network-types.js';
import type { AccessConfig, LimitsConfig, ProxyConfig, RecordingConfig, ReverseConfig } from '../stack/contract.js';
import { type Checked, checkInterceptor, checkRecordPath, checkTokenFile } from './checks.js';
import type { Environment } from './environment.js';
import { protectionOf } from './protection.js';
import { redactionOf } from './redaction.js';
import type { Settings } from './settings.js';
import { type Topology, topologyOf } from './topology.js';

/** Where the command runs. */
export interface Place {
  readonly cwd: string;
  readonly env: Environment;
}

/** Collects a configuration and the problems met on the way. */
export class Build {
  readonly problems: string[] = [];
  #unstartable = 0;
  readonly settings: Settings;
  readonly place: Place;

  constructor(settings: Settings, place: Place) {
    this.settings = settings;
    this.place = place;
  }

  problem(line: string): void {
    this.problems.push(line);
  }

  /** A problem that is the server's: there is no such command. */
  unstartable(line: string): void {
    this.#unstartable += 1;
    this.problem(line);
  }

  /**
   * The configuration, unless there were problems: then they are thrown together. `spawnFailed` is the exit code when all that
   * is wrong is a server command that cannot be started.
   */
  done<T>(make: () => T, { spawnFailed = EXIT.usage }: { readonly spawnFailed?: number } = {}): T {
    const value = make();
    const { problems } = this;
    if (problems.length === 0) return value;
    throw problemsError(problems, problems.length === this.#unstartable ? spawnFailed : EXIT.usage);
  }

  checked<T>(result: Checked<T>, instead: T): T {
    if ('value' in result) return result.value;
    this.problem(result.problem);
    return instead;
  }

  topology(): Topology | undefined {
    return topologyOf(this);
  }

  #warm(): number {
    const { settings } = this;
    const warm = settings.get('warm');
    const max = settings.get('max-children');
    if (warm > max)
      this.problem(
        `${settings.where('warm')}: ${warm} are more children than --max-children allows (${max}): raise it`,
      );
    return warm;
  }

  recording(given: string, where: string): RecordingConfig {
    const at = this.checked(checkRecordPath(given, this.place.cwd, where), { kind: 'file', path: '' } as const);
    const { settings } = this;
    const required = settings.get('record-required');
    const onFull = settings.get('record-overflow');
    if (required && onFull === 'drop') {
      this.problem(
        `${settings.where('record-overflow')}: what is required cannot be dropped: leave out ${settings.where('record-required')}, or this`,
      );
    }
    return {
      ...at,
      required,
      durable: settings.get('durable'),
      onFull,
      redaction: redactionOf(settings),
    };
  }

  interceptors(): string[] {
    const where = this.settings.where('interceptor');
    return this.settings
      .get('interceptor')
      .map((name) => this.checked(checkInterceptor(name, this.place.cwd, where), ''));
  }

  listening(): Pick<ReverseConfig, 'listen' | 'path' | 'access'> {
    const { settings } = this;
    const path = settings.get('path');
    this.checkPath(path, settings.where('path'));
    return { listen: settings.get('listen'), path, access: this.#access(path) };
  }

  /** Whether clients can be served at a path. */
  checkPath(path: string, where: string): void {
    const taken = /^\/(health|metrics)(\/|$)/.test(path)
      ? 'health and metrics are'
      : /^\/(sse|message)\/?$/.test(path)
        ? 'the legacy HTTP+SSE pair is'
        : undefined;
    if (taken !== undefined) this.problem(`${where}: ${path} is where ${taken}: choose another path, such as /mcp`);
  }

  #access(path: string): AccessConfig {
    const { settings } = this;
    const file = settings.get('token-file');
    const token =
      settings.get('token') ??
      (file === undefined
        ? undefined
        : this.checked(checkTokenFile(file, this.place.cwd, settings.where('token-file')), ''));
    if (token !== undefined && settings.get('forward-authorization')) {
      this.problem(
        `${settings.where('forward-authorization')}: with a token of the proxy's own (${settings.where(file === undefined ? 'token' : 'token-file')}) ` +
          "the client's Authorization is for the proxy and must not go on: drop one, or give the upstream its token with --header",
      );
    }
    if (settings.get('forward-authorization') && settings.get('header').some(({ name }) => name === 'authorization')) {
      this.problem(
        `${settings.where('forward-authorization')}: the upstream gets the Authorization of ${settings.where('header')} instead ` +
          "of the client's: drop one",
      );
    }
    const { host } = settings.get('listen');
    if (!isLoopback(host) && token === undefined && !settings.get('no-auth') && !settings.get('stdio')) {
      this.problem(
        `${settings.where('listen')}: ${host} can be reached from other machines: set a token (SHADOWCAT_TOKEN or --token-file), ` +
          'or say --no-auth to let everybody in',
      );
    }
    return {
      token,
      allowHosts: settings.get('allow-host'),
      allowOrigins: settings.get('allow-origin'),
      publicUrl: publicUrl(settings.get('public-url'), path),
      admin: settings.get('admin'),
    };
  }

  limits(): LimitsConfig {
    const { settings } = this;
    return {
      maxBody: settings.get('max-body'),
      maxBatch: settings.get('max-batch'),
      maxJsonDepth: settings.get('max-json-depth'),
      maxJsonNodes: settings.get('max-json-nodes'),
      maxHeaderSize: settings.get('max-header-size'),
      maxHeaders: settings.get('max-headers'),
      maxConnections: settings.get('max-connections'),
      headersTimeoutMs: settings.get('headers-timeout'),
      requestTimeoutMs: settings.get('request-timeout'),
      maxStreamQueue: settings.get('max-stream-queue'),
    };
  }

  proxy(topology: Topology, recording: RecordingConfig | undefined): ProxyConfig {
    const { settings, place } = this;
    const store = settings.get('store');
    return {
      ...topology,
      recording,
      upstream: {
        headers: Object.fromEntries(settings.get('header').map(({ name, value }) => [name, value])),
        forwardAuthorization: settings.get('forward-authorization'),
        connectTimeoutMs: settings.get('connect-timeout'),
        firstByteTimeoutMs: settings.get('first-byte-timeout'),
        onLoss: settings.get('on-upstream-loss'),
        listTimeoutMs: settings.get('list-timeout'),
        bridge: settings.get('bridge'),
        bridgeHoldMs: settings.get('bridge-hold'),
        maxBridgeQuestions: settings.get('max-bridge-questions'),
        maxBridgeSessions: settings.get('max-bridge-sessions'),
      },
      children: {
        isolation: settings.get('isolation'),
        max: settings.get('max-children'),
        maxPerCredential: settings.get('max-children-per-credential') || settings.get('max-children'),
        maxAgeMs: settings.get('max-child-age') || Number.POSITIVE_INFINITY,
        warm: this.#warm(),
        maxQueue: settings.get('max-queue'),
        queueTimeoutMs: settings.get('queue-timeout'),
        maxLine: settings.get('max-line'),
      },
      sessions: {
        store: store === 'memory:' ? store : `sqlite:${resolve(place.cwd, store.slice('sqlite:'.length))}`,
        idleMs: settings.get('session-idle'),
        max: settings.get('max-sessions'),
        maxPerCredential: settings.get('max-sessions-per-credential'),
        resume: {
          events: settings.get('resume-events'),
          bytes: settings.get('resume-bytes'),
          totalBytes: settings.get('resume-total'),
        },
      },
      protection: protectionOf(settings),
      limits: this.limits(),
      interceptors: this.interceptors(),
      keepAliveMs: settings.get('keep-alive'),
      drainMs: settings.get('drain-timeout'),
    };
  }
}

/** The URL of the endpoint; a URL without a path says only where the proxy is. */
function publicUrl(given: URL | undefined, path: string): string | undefined {
  return given?.pathname === '/' ? new URL(path, given).href : given?.href;
}
