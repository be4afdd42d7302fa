/**
 * Floods: as much as can be said, asked, set or thrown, as fast as it can. What reaches this process is counted and bounded, and the
 * tenant next door is answered meanwhile.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { bystanderIsWell, codeOf } from './sandbox-support.ts';

const sandbox = useSandbox();
const { call } = sandbox;
const P95_MS = 250;
const ROUNDS = 60;
let worstMs = 0;
let quietMs = 0;

afterAll(() => {
  process.stdout.write(
    `floods: p95 of a neighbour ${quietMs.toFixed(1)} ms in quiet, ${worstMs.toFixed(1)} ms at worst\n`,
  );
});

function p95(times: number[]): number {
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? 0;
}

/** How long the bystander waits for answers, until `until` has ended. */
async function measured(until: Promise<unknown>): Promise<number> {
  const times: number[] = [];
  const flood = { isOver: false };
  void until.then(() => (flood.isOver = true));
  while (times.length < ROUNDS || !flood.isOver) {
    const startedAt = performance.now();
    await bystanderIsWell(sandbox);
    times.push(performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return p95(times);
}

describe('a flood', () => {
  it('is measured against quiet', async () => {
    await bystanderIsWell(sandbox);
    quietMs = await measured(Promise.resolve());
    expect(quietMs).toBeLessThan(P95_MS);
  });

  it.each([
    ['log lines', "for (;;) this.logInfo('x', { some: 'thing' });"],
    [
      'long log lines from many entries',
      "const line = 'y'.repeat(1e5); for (;;) { for (let i = 0; i < 90; i++) this.logInfo('x', line); await new Promise((r) => setTimeout(r, 0)); }",
    ],
    [
      'log lines with a million parts',
      'for (;;) { this.logInfo("x", Array(6e4).fill(0)); await new Promise((r) => setTimeout(r, 0)); }',
    ],
    [
      'progress notes',
      'for (;;) { for (let i = 0; i < 900; i++) this.tasks.progress(1, "x"); await new Promise((r) => setTimeout(r, 0)); }',
    ],
    ['calls', 'for (;;) await Promise.allSettled(Array.from({ length: 64 }, () => this.service.get()));'],
    [
      'calls without waiting',
      'const all = []; for (;;) { for (let i = 0; i < 1e4; i++) all.push(this.service.get().catch(() => 0)); await Promise.race(all); all.length = 0; }',
    ],
    [
      'calls of a megabyte',
      "const text = 'x'.repeat(1e6); for (;;) await Promise.allSettled(Array.from({ length: 8 }, () => this.crypt.encryptString(text)));",
    ],
    [
      'calls with half a million wrong tags',
      'const tags = Array(4.9e5).fill(0); for (;;) await this.tasks.add({ method: "m", tags }).catch(() => 0);',
    ],
    [
      'calls with as many tags as are looked at',
      'const tags = Array(4.9e4).fill(""); for (;;) await Promise.allSettled(Array.from({ length: 16 }, () => this.tasks.add({ method: "m", tags })));',
    ],
    [
      'calls with as many keys as are looked at',
      'const params = Object.fromEntries(Array.from({ length: 4.9e4 }, (_, i) => ["k" + i, 0])); for (;;) await this.tasks.add({ method: "m", params }).catch(() => 0);',
    ],
    [
      'timers',
      'for (;;) { for (let i = 0; i < 99; i++) setTimeout(() => {}, 0); await new Promise((r) => setTimeout(r, 0)); }',
    ],
    [
      'timers set and cleared',
      'for (;;) { for (let i = 0; i < 400; i++) clearTimeout(setTimeout(() => {}, 1e5)); await new Promise((r) => setTimeout(r, 0)); }',
    ],
    [
      'intervals',
      'for (let i = 0; i < 99; i++) setInterval(() => this.logInfo("tick"), 0); await new Promise(() => {});',
    ],
    [
      'rejections nobody handles',
      'for (;;) { for (let i = 0; i < 1e3; i++) Promise.reject(new Error("x".repeat(1e3))); await new Promise((r) => setTimeout(r, 0)); }',
    ],
    ['templates', "for (;;) this.view('t', { list: Array(1e3).fill('x') });"],
  ])('of %s does not keep the neighbour waiting', async (_what, body) => {
    const views = { 't.liquid': '{% for a in list %}{{ a }}{% endfor %}' };
    let notes = 0;
    let calls = 0;
    const startedAt = performance.now();
    const flood = call(moduleScript(`async run() { ${body} }`), 'run', [], {
      group: 'flooder',
      wallMs: 1_500,
      views,
      onNotify: () => notes++,
      onCall: async () => {
        calls++;
        return {};
      },
    });
    const waitedMs = await measured(flood);
    worstMs = Math.max(worstMs, waitedMs);
    expect(codeOf(await flood)).not.toBe('ok');
    expect(waitedMs).toBeLessThan(P95_MS);
    const seconds = Math.ceil((performance.now() - startedAt) / 1_000) + 1;
    expect(notes).toBeLessThanOrEqual(seconds * (LIMITS.noticesPerSecond + 1));
    expect(calls).toBeLessThanOrEqual(1_000);
  });

  it('of results of four megabytes does not either', async () => {
    const script = moduleScript('run() { return Array(4e5).fill({ a: 1 }); }');
    const flood = { isOver: false };
    const floods = Array.from({ length: 4 }, async () => {
      while (!flood.isOver) await call(script, 'run', [], { group: 'flooder' });
    });
    const waitedMs = await measured(new Promise((resolve) => setTimeout(resolve, 1_500)));
    flood.isOver = true;
    await Promise.all(floods);
    worstMs = Math.max(worstMs, waitedMs);
    expect(waitedMs).toBeLessThan(P95_MS);
  });

  it('of invocations that never end is ended, each with its time', async () => {
    const script = moduleScript('async run() { await new Promise(() => {}); }');
    const all = Promise.all(
      Array.from({ length: 300 }, async () => call(script, 'run', [], { group: 'flooder', wallMs: 800 })),
    );
    const waitedMs = await measured(all);
    worstMs = Math.max(worstMs, waitedMs);
    expect(new Set((await all).map(codeOf))).toEqual(new Set(['TIMEOUT']));
    expect(waitedMs).toBeLessThan(P95_MS);
  });

  it('is said in the module’s own log, once a second', async () => {
    const lines: { action: string }[] = [];
    await call(
      moduleScript(
        "async run() { for (let r = 0; r < 5; r++) { for (let i = 0; i < 900; i++) this.logInfo('x'); await new Promise((d) => setTimeout(d, 10)); } }",
      ),
      'run',
      [],
      {
        group: 'flooder',
        onNotify: (_path, input) => lines.push(input as { action: string }),
      },
    );
    expect(lines.filter(({ action }) => action === 'log flood').length).toBeGreaterThanOrEqual(1);
    expect(lines.length).toBeLessThan(2 * LIMITS.noticesPerSecond + 10);
  });
});
