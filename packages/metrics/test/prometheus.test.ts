import { describe, expect, it } from 'vitest';
import { INSTRUMENTS } from '../src/instruments.js';
import { prometheusMeter } from '../src/prometheus.js';

const quiet = () => prometheusMeter({ version: '1.2.3', process: false });
const linesOf = async (meter: { render(): Promise<string> }): Promise<string[]> =>
  (await meter.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('the instruments', () => {
  it.each(Object.values(INSTRUMENTS))('$name is named as its kind is', ({ kind, name, help }) => {
    expect(name).toMatch(/^shadowcat_[a-z_]+$/);
    expect(name.endsWith('_total')).toBe(kind === 'counter');
    expect(help).toMatch(/\.$/);
  });
});

describe('prometheusMeter', () => {
  it('shows what was counted and observed', async () => {
    const meter = quiet();
    const count = meter.counter(INSTRUMENTS.requests, 'ping', 'legacy', 'ok');
    count();
    count(2);
    meter.histogram(INSTRUMENTS.upstreamDuration, 'http://x "y"', 'ok')(0.02);
    const lines = await linesOf(meter);
    expect(lines).toContain('shadowcat_requests_total{method="ping",era="legacy",outcome="ok"} 3');
    expect(lines).toContain(
      'shadowcat_upstream_duration_seconds_bucket{le="0.025",target="http://x \\"y\\"",outcome="ok"} 1',
    );
    expect(lines).toContain('shadowcat_build_info{version="1.2.3"} 1');
  });

  it('counts a value in the bucket of each bound that is not below it', async () => {
    const meter = quiet();
    const note = meter.histogram(INSTRUMENTS.upstreamDuration, 'a', 'ok');
    for (const seconds of [0.001, 0.002, 0.0025, 299, 301]) note(seconds);
    meter.histogram(INSTRUMENTS.upstreamDuration, 'a', 'ok')(1);
    meter.histogram(INSTRUMENTS.upstreamDuration, 'b', 'ok')(1);
    const name = 'shadowcat_upstream_duration_seconds';
    const lines = (await linesOf(meter)).filter((line) => line.includes('target="a"'));
    const count = (le: string) =>
      lines
        .find((line) => line.startsWith(`${name}_bucket{le="${le}"`))
        ?.split(' ')
        .at(-1);
    const bounds = ['0.001', '0.0025', '0.005', '0.5', '1', '60', '300', '+Inf'];
    expect(bounds.map(count)).toEqual(['1', '3', '3', '3', '4', '4', '5', '6']);
    expect(lines).toContain(`${name}_count{target="a",outcome="ok"} 6`);
    const sum = lines
      .find((line) => line.startsWith(`${name}_sum`))
      ?.split(' ')
      .at(-1);
    expect(Number(sum)).toBeCloseTo(601.0055, 9);
  });

  it('reads gauges and mirrored counters anew each time', async () => {
    const meter = quiet();
    let rows = [
      { labels: ['a', 'idle'], value: 1 },
      { labels: ['a', 'leased'], value: 2 },
    ];
    let spawns = 5;
    meter.read(INSTRUMENTS.pool, () => rows);
    meter.read(INSTRUMENTS.inFlight, () => 7);
    meter.read(INSTRUMENTS.spawns, () => [{ labels: ['ok', 'a'], value: spawns }]);
    expect(await linesOf(meter)).toEqual(
      expect.arrayContaining([
        'shadowcat_pool_resources{pool="a",state="idle"} 1',
        'shadowcat_pool_resources{pool="a",state="leased"} 2',
        'shadowcat_exchanges_in_flight 7',
        'shadowcat_spawns_total{outcome="ok",target="a"} 5',
      ]),
    );
    rows = [{ labels: ['b', 'idle'], value: 0 }];
    spawns = 6;
    const lines = await linesOf(meter);
    expect(lines.filter((line) => line.startsWith('shadowcat_pool'))).toEqual([
      'shadowcat_pool_resources{pool="b",state="idle"} 0',
    ]);
    expect(lines).toContain('shadowcat_spawns_total{outcome="ok",target="a"} 6');
  });

  it('shows no gauge that nobody reads', async () => {
    expect(await quiet().render()).not.toContain('shadowcat_recorder_up');
  });

  it('does not share its measurements with another', async () => {
    const [one, other] = [quiet(), quiet()];
    one.counter(INSTRUMENTS.malformed)();
    expect(await linesOf(one)).toContain('shadowcat_requests_malformed_total 1');
    expect(await linesOf(other)).toContain('shadowcat_requests_malformed_total 0');
  });

  it('shows nothing once it is closed', async () => {
    const meter = quiet();
    meter.close();
    expect((await meter.render()).trim()).toBe('');
  });

  it('measures the process, with names of its own', async () => {
    const meter = prometheusMeter({ version: '1' });
    const lines = await linesOf(meter);
    for (const name of [
      'process_cpu_seconds_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
    ]) {
      expect(lines.some((line) => line.startsWith(`shadowcat_${name} `))).toBe(true);
    }
    expect(lines.filter((line) => !line.startsWith('shadowcat_'))).toEqual([]);
    expect(meter.contentType).toContain('text/plain');
    meter.close();
  });

  it('knows its own instruments only', () => {
    const other = { kind: 'counter', name: 'shadowcat_other_total', help: 'Other.', labels: [] } as const;
    expect(() => quiet().counter(other)).toThrow("shadowcat_other_total is not one of this meter's counters");
  });
});
