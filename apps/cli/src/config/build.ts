import { basename, resolve } from 'node:path';
import { problemsError } from '../errors.js';
import { isLoopback } from '../options/network-types.js';
import type {
  AccessConfig,
  CommandTarget,
  LimitsConfig,
  ProxyConfig,
  RecordingConfig,
  ReverseConfig,
  Targets,
} from '../stack/contract.js';
import {
  type Checked,
  checkCommand,
  checkDirectory,
  checkInterceptor,
  checkRecordPath,
  checkTokenFile,
} from './checks.js';
import type { Environment } from './environment.js';
import { placeOf, type Settings } from './settings.js';

/** Where the command runs. */
export interface Place {
  readonly cwd: string;
  readonly env: Environment;
}

/** Collects a configuration and the problems met on the way. */
export class Build {
  readonly problems: string[] = [];
  readonly settings: Settings;
  readonly place: Place;

  constructor(settings: Settings, place: Place) {
    this.settings = settings;
    this.place = place;
  }

  problem(line: string): void {
    this.problems.push(line);
  }

  /** The configuration, unless there were problems: then they are thrown together. */
  done<T>(make: () => T): T {
    const value = make();
    if (this.problems.length > 0) throw problemsError(this.problems);
    return value;
  }

  checked<T>(result: Checked<T>, instead: T): T {
    if ('value' in result) return result.value;
    this.problem(result.problem);
    return instead;
  }

  targets(): Targets | undefined {
    const [command, ...args] = this.settings.get('command');
    if (command !== undefined) return [this.#command(command, args)];
    const [first, ...rest] = this.settings.get('upstream');
    if (first === undefined) return undefined;
    const names = new Set([first.name]);
    for (const { name } of rest) {
      if (names.has(name))
        this.problem(`${this.settings.where('upstream')}: ${name} is there twice: give each upstream once`);
      names.add(name);
    }
    return [first, ...rest];
  }

  #command(command: string, args: readonly string[]): CommandTarget {
    const given = this.settings.get('cwd');
    const base = this.place.cwd;
    const cwd =
      given === undefined ? base : this.checked(checkDirectory(given, base, this.settings.where('cwd')), base);
    const env = this.#variables();
    const path = env['PATH'] ?? this.place.env['PATH'];
    const { where } = this.settings.setting('command').origin;
    const found = checkCommand(command, { cwd, path, platform: process.platform });
    if ('problem' in found)
      this.problem(
        where === placeOf(this.settings.setting('command').spec)
          ? found.problem
          : `${where}: command: ${found.problem}`,
      );
    return { kind: 'command', name: basename(command), command, args, cwd, env };
  }

  #variables(): Record<string, string> {
    const variables: Record<string, string> = {};
    for (const { name, value } of this.settings.get('env')) {
      const passed = value ?? this.place.env[name];
      if (passed === undefined)
        this.problem(
          `${this.settings.where('env')}: ${name} is not set here, so it cannot be passed on: write ${name}=value`,
        );
      else variables[name] = passed;
    }
    return variables;
  }

  recording(given: string, where: string): RecordingConfig {
    const at = this.checked(checkRecordPath(given, this.place.cwd, where), { kind: 'file', path: '' } as const);
    return { ...at, required: this.settings.get('record-required'), durable: this.settings.get('durable') };
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
    if (/^\/(health|metrics)(\/|$)/.test(path)) {
      this.problem(
        `${settings.where('path')}: ${path} is where health and metrics are: choose another path, such as /mcp`,
      );
    }
    if (/^\/(sse|message)\/?$/.test(path)) {
      this.problem(
        `${settings.where('path')}: ${path} is where the legacy HTTP+SSE pair is: choose another path, such as /mcp`,
      );
    }
    return { listen: settings.get('listen'), path, access: this.#access(path) };
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

  proxy(targets: Targets, recording: RecordingConfig | undefined): ProxyConfig {
    const { settings, place } = this;
    const store = settings.get('store');
    return {
      targets,
      recording,
      upstream: {
        headers: Object.fromEntries(settings.get('header').map(({ name, value }) => [name, value])),
        forwardAuthorization: settings.get('forward-authorization'),
        connectTimeoutMs: settings.get('connect-timeout'),
        firstByteTimeoutMs: settings.get('first-byte-timeout'),
        onLoss: settings.get('on-upstream-loss'),
        bridge: settings.get('bridge'),
      },
      children: {
        isolation: settings.get('isolation'),
        max: settings.get('max-children'),
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
