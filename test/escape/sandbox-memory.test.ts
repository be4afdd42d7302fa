/**
 * Memory that no limit of the isolate sees. Whatever a module tries, it ends with a verdict against it, this process keeps its size, and
 * the runner's own stays below its cap but for the moment between two looks.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { bystanderIsWell, codeOf } from './sandbox-support.ts';

const sandbox = useSandbox();
const MB = 1_048_576;
const ENDED = ['MEMORY_LIMIT', 'CRASHED', 'CPU_LIMIT', 'MODULE_ERROR', 'TIMEOUT', 'LIMIT'];
let peakBytes = 0;
let looking: NodeJS.Timeout | undefined;
let hostBytes = 0;

beforeAll(async () => {
  await bystanderIsWell(sandbox);
  hostBytes = process.memoryUsage().rss;
  looking = setInterval(() => {
    for (const runner of sandbox.sandbox().stats()) peakBytes = Math.max(peakBytes, runner.rssBytes);
  }, 20);
});
afterAll(() => clearInterval(looking));

describe('memory is not to be had', () => {
  it.each([
    ['objects', 'const all = []; for (;;) all.push({ a: all });'],
    ['a list that doubles', 'let all = [1]; for (;;) all = all.concat(all);'],
    ['strings', "const all = []; for (;;) all.push('x'.repeat(1e5) + all.length);"],
    [
      'a rope that is flattened',
      "let s = 'x'; for (let i = 0; i < 29; i++) s += s; return s.indexOf('y') + JSON.stringify(s).length;",
    ],
    ['String.repeat', "const all = []; for (;;) all.push(JSON.stringify('é'.repeat(2 ** 27)));"],
    ['padEnd', "const all = []; for (;;) all.push('é'.padEnd(2 ** 28, 'ab').split('').length);"],
    ['replaceAll', "return 'a'.repeat(2 ** 20).replaceAll('a', 'b'.repeat(2 ** 12)).length;"],
    ['a Map that grows', 'const map = new Map(); for (let i = 0; ; i++) map.set(i, i);'],
    ['a Set that grows', 'const set = new Set(); for (let i = 0; ; i++) set.add(i);'],
    ['a dictionary', 'const all = {}; for (let i = 0; ; i++) all["k" + i] = i;'],
    ['typed arrays', 'const all = []; for (;;) all.push(new Uint8Array(1e7).fill(1));'],
    ['one typed array', 'return new Float64Array(2 ** 31).fill(1).length;'],
    [
      'a buffer that is asked to grow',
      'const b = new ArrayBuffer(8, { maxByteLength: 2 ** 31 }); for (let n = 8; ; n *= 2) { b.resize(n); new Uint8Array(b).fill(1); }',
    ],
    ['Array.from', 'return Array.from({ length: 2 ** 31 }, () => ({})).length;'],
    ['an array of its length', 'return new Array(2 ** 27).fill().map(() => ({})).length;'],
    ['spread', 'return Math.max(...new Array(1e8).fill(1));'],
    ['BigInt', 'let n = 3n; const all = []; for (;;) { n *= n; all.push(n); }'],
    ['shifted BigInt', 'const all = []; for (;;) all.push(1n << (2n ** 29n));'],
    [
      'closures',
      'let f = () => 0; for (;;) { const g = f; const x = new Array(1e4).fill(0); f = () => [g, x]; }',
    ],
    [
      'generators',
      'const all = []; for (;;) { const g = (function* () { const x = new Array(1e4).fill(1); yield x; })(); g.next(); all.push(g); }',
    ],
    ['pending promises', 'const all = []; for (;;) all.push(new Promise(() => {}).then(() => all));'],
    [
      'rejected promises',
      'for (let i = 0; i < 2e5; i++) Promise.reject(new Error("x".repeat(1e3))); for (;;);',
    ],
    [
      'functions from texts',
      'const all = []; for (let i = 0; ; i++) all.push(new Function("return " + "[".repeat(500) + i + "]".repeat(500)));',
    ],
    [
      'expressions',
      'const all = []; for (let i = 0; ; i++) { const r = new RegExp("(a|b){1,500}" + i); r.test("ab"); all.push(r); }',
    ],
    ['symbols', 'for (let i = 0; ; i++) Symbol.for("s" + i + "x".repeat(1e4));'],
    [
      'an error’s stack',
      'const all = []; for (;;) { const e = new Error("x".repeat(1e5)); e.stack; all.push(e); }',
    ],
    [
      'JSON.parse',
      "const text = '[' + '{},'.repeat(2e6) + '0]'; const all = []; for (;;) all.push(JSON.parse(text));",
    ],
    ['structuredClone', 'let x = [new Array(1e6).fill({})]; for (;;) x = [x, structuredClone(x)];'],
    ['a template', "return this.view('big', {});"],
    [
      'deep recursion',
      'const f = (n) => { const x = new Array(100).fill(n); return f(n + 1) + x.length; }; for (;;) try { f(0); } catch {}',
    ],
    [
      'Intl',
      "const all = []; for (let i = 0; ; i++) all.push(new Intl.DateTimeFormat('en', { timeZone: 'UTC' }));",
    ],
    [
      'calls that wait',
      "const all = []; for (let i = 0; i < 1000; i++) all.push(this.crypt.encryptString('x'.repeat(9e5))); await Promise.allSettled(all); for (;;) all.push(new Array(1e5).fill(0));",
    ],
    ['log lines', "for (;;) this.logInfo('x', { text: 'y'.repeat(1e5) });"],
  ])('by %s', async (_how, body) => {
    const views = {
      'big.liquid':
        '{% for i in (1..100000) %}{% for j in (1..100000) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}',
    };
    const outcome = await sandbox.call(moduleScript(`async run() { ${body} }`), 'run', [], {
      group: 'eater',
      entryMs: 700,
      cpuHardMs: 700,
      views,
      onCall: async () => new Promise(() => undefined),
      wallMs: 8_000,
    });
    expect(ENDED).toContain(codeOf(outcome));
  });

  it('and the garbage of modules that are idle is not held against the one that runs', async () => {
    for (let module = 0; module < 25; module++) {
      const litter = moduleScript(
        `run() { const all = []; for (let i = 0; i < 3e5; i++) all.push({ i, b: [${module}] }); return all.length; }`,
      );
      expect(await sandbox.value(litter, 'run', [], { group: 'litter', entryMs: 2_000 })).toBe(3e5);
      await new Promise((resolve) => setTimeout(resolve, LIMITS.rssPollMs));
    }
  });

  it('and what an earlier invocation used is not held against the next', async () => {
    const eat = moduleScript(
      'run() { const all = []; for (let i = 0; i < 20; i++) all.push(new Array(1e5).fill(i)); return all.length; }',
    );
    for (let round = 0; round < 20; round++)
      expect(await sandbox.value(eat, 'run', [], { group: 'eater-again', key: 'eater-again' })).toBe(20);
  });
});

it('and afterwards the runners were never far from their cap, and this process is as it was', async () => {
  await bystanderIsWell(sandbox);
  // Far from what the attacks asked for, which is gigabytes each.
  expect(peakBytes).toBeLessThan(3 * LIMITS.runnerRssMb * MB);
  expect(process.memoryUsage().rss - hostBytes).toBeLessThan(256 * MB);
});
