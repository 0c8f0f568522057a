import { describe, expect, it } from 'vitest';
import { createLog, type LogOptions } from '../src/log.js';

function linesOf(options: Partial<LogOptions>, write: (log: ReturnType<typeof createLog>) => void): string {
  let text = '';
  const log = createLog({
    level: 'info',
    format: 'json',
    terminal: false,
    colour: false,
    ...options,
    write: (line) => {
      text += line;
    },
  });
  write(log);
  return text;
}

describe('the log', () => {
  it('is JSON lines without a terminal', () => {
    const text = linesOf({ format: 'auto' }, (log) => log.info({ port: 1 }, 'listening'));
    expect(JSON.parse(text)).toEqual({ level: 'info', time: expect.any(String), port: 1, msg: 'listening' });
  });

  it('is readable on a terminal, or when asked for', () => {
    for (const options of [{ format: 'auto', terminal: true }, { format: 'pretty' }] as const) {
      const text = linesOf(options, (log) => log.warn({ port: 1 }, 'listening'));
      expect(text).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: listening \{"port":1\}\n$/);
    }
  });

  it('has colours only where they are wanted', () => {
    const colour = String.fromCharCode(27);
    expect(linesOf({ format: 'pretty', colour: true }, (log) => log.info({}, 'a'))).toContain(colour);
    expect(linesOf({ format: 'pretty', colour: false }, (log) => log.info({}, 'a'))).not.toContain(colour);
  });

  it('leaves out what is below its level', () => {
    const say = (log: ReturnType<typeof createLog>): void => {
      log.debug({}, 'a');
      log.info({}, 'b');
      log.warn({}, 'c');
      log.error({}, 'd');
    };
    const words = (level: LogOptions['level']): string[] =>
      [...linesOf({ level }, say).matchAll(/"msg":"(.)"/g)].map(([, word]) => word ?? '');
    expect(words('debug')).toEqual(['a', 'b', 'c', 'd']);
    expect(words('warn')).toEqual(['c', 'd']);
    expect(words('silent')).toEqual([]);
  });

  it.each(['json', 'pretty'] as const)('as %s shows the stack of an error at level debug only', (format) => {
    const err = Object.assign(new Error('broken'), { code: 'EPIPE' });
    const quiet = linesOf({ format, level: 'info' }, (log) => log.error({ err }, 'failed'));
    expect(quiet).toContain('broken');
    expect(quiet).toContain('EPIPE');
    expect(quiet).not.toContain('log.test.ts');
    expect(linesOf({ format, level: 'debug' }, (log) => log.error({ err }, 'failed'))).toContain('log.test.ts');
  });

  it.each(['json', 'pretty'] as const)('as %s conceals secrets wherever they usually are', (format) => {
    const text = linesOf({ format }, (log) =>
      log.info(
        {
          token: 'hunter2',
          headers: { authorization: 'hunter2' },
          head: { headers: { cookie: 'hunter2' } },
          session: { 'mcp-session-id': 'hunter2' },
        },
        'a',
      ),
    );
    expect(text).not.toContain('hunter2');
    expect(text.match(/\*\*\*/g)).toHaveLength(4);
  });
});
