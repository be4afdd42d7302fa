/** Every attack is seen: the installation's own log tells what was stopped and why, in a bounded number of lines, and the neighbour's tells nothing. */
import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { useTestHost } from '../support/host.ts';
import { refusal } from '../support/tenant.ts';

const host = useTestHost();
const NAME = 'Villain';

const MEMBERS = `
  loop() { for (;;); }
  async native() { return new Array(2 ** 32 - 2).indexOf(1); }
  eat() { const all = []; for (;;) all.push(new Array(1e5).fill(all.length)); }
  async refused(times) {
    let refused = 0;
    for (let time = 0; time < times; time++)
      try { await this.http.fetch('https://elsewhere.example.org/'); } catch (error) { refused += error.code === 'NOT_GRANTED' ? 1 : 0; }
    return refused;
  }
  async flood() { for (let line = 0; line < 900; line++) this.logInfo('line ' + line); await new Promise((done) => setTimeout(done, 20)); return 'done'; }
  lie() { this.logError('paused by the circuit breaker', 'nothing happened'); throw new Error('\\u0000\\ud800 <b>odd</b>'); }
`;

beforeAll(async () => {
  const http = { hosts: ['api.example.com'], methods: ['GET'], per_minute: 1_000 };
  const permissions = { http, compute: { request_cpu_ms: 300 } };
  await host().publish({ name: NAME, members: MEMBERS, manifest: { permissions } });
  await host().a.installed(NAME);
  await host().b.installed(NAME);
});

async function linesAfter(work: () => Promise<unknown>): Promise<string[]> {
  const { a } = host();
  const before = (await a.logs(NAME)).length;
  await work();
  return (await a.logs(NAME)).slice(before);
}

describe('the log tells', () => {
  it.each([
    ['loop', /^host error loop: CPU_LIMIT The module ran for 300 ms without a pause\.$/],
    ['eat', /^host error eat: (?:MEMORY|CPU)_LIMIT /],
    ['native', /^host error native: (?:TIMEOUT|CPU_LIMIT) /],
  ])('why %s was stopped', async (method, line) => {
    const { a } = host();
    const lines = await linesAfter(() => refusal(async () => a.call(NAME, method)));
    expect(lines).toContainEqual(expect.stringMatching(line));
  });

  it('what was refused, up to a number of lines, and counts the rest', async () => {
    const { a } = host();
    const times = 3 * LIMITS.refusalsTold;
    const lines = await linesAfter(async () => expect(await a.call(NAME, 'refused', times)).toBe(times));
    expect(lines.filter((line) => line.startsWith('host warning refused: http.request'))).toHaveLength(
      LIMITS.refusalsTold,
    );
    const { refused } = await a.panel.db
      .selectFrom('usage_minutes')
      .select((eb) => eb.fn.sum<number>('refused').as('refused'))
      .where('installation_id', '=', await a.installationId(NAME))
      .executeTakeFirstOrThrow();
    expect(refused).toBe(times);
  });

  it('who says a line: a module cannot speak as the host', async () => {
    const { a } = host();
    const lines = await linesAfter(() => refusal(async () => a.call(NAME, 'lie')));
    expect(lines).toContainEqual(expect.stringMatching(/^module error paused by the circuit breaker/));
    expect(lines).toContainEqual(expect.stringMatching(/^host error lie: MODULE_ERROR .*<b>odd<\/b>$/));
  });

  it('that there was a flood, and not all of it', async () => {
    const { a } = host();
    const lines = await linesAfter(async () => a.call(NAME, 'flood'));
    expect(lines.filter((line) => line.startsWith('module'))).not.toHaveLength(0);
    expect(lines.length).toBeLessThanOrEqual(2 * LIMITS.logLinesPerSecond + 2);
    expect(lines).toContainEqual(expect.stringContaining('log flood'));
  });

  it('nothing to the neighbour who has the same module', async () => {
    expect((await host().b.logs(NAME)).filter((line) => !line.startsWith('host info'))).toEqual([]);
  });
});
