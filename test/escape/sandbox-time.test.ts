/**
 * Endless work in every place where a timeout might not look: after an await, in getters of what is thrown or returned, in callbacks
 * of natives, and in natives that nothing interrupts. Each ends with a verdict, and a bystander's process is never touched.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { bystanderIsWell, codeOf } from './sandbox-support.ts';

const sandbox = useSandbox();
const LOOP = 'for (;;);';

afterEach(() => bystanderIsWell(sandbox));

/** Runs attacks beside one another, each in a group of its own, and gives back what each ended with. */
async function outcomes(
  attacks: Readonly<Record<string, string>>,
  wallMs = 15_000,
): Promise<Record<string, string>> {
  const ended = await Promise.all(
    Object.entries(attacks).map(async ([name, body], index) => {
      const outcome = await sandbox.call(moduleScript(`async run() { ${body} }`), 'run', [], {
        group: `time-${index % 4}-${name}`,
        entryMs: 200,
        wallMs,
      });
      sandbox.sandbox().end(`time-${index % 4}-${name}`);
      return [name, codeOf(outcome)] as const;
    }),
  );
  return Object.fromEntries(ended);
}

describe('endless work that can be interrupted ends with CPU_LIMIT', () => {
  it.each([
    ['after an await on the host', `await this.service.get(); ${LOOP}`],
    ['in a chain of microtasks', 'const again = () => Promise.resolve().then(again); await again();'],
    ['in queueMicrotask', 'const again = () => queueMicrotask(again); again(); await new Promise(() => {});'],
    ['in an async generator', 'async function* g() { for (;;) yield 1; } for await (const x of g());'],
    ['in a getter of a thrown value', `throw { get stack() { ${LOOP} }, get message() { ${LOOP} } };`],
    [
      'in a getter of a thrown Error',
      `const e = new Error('x'); Object.defineProperty(e, 'message', { get() { ${LOOP} } }); throw e;`,
    ],
    [
      'in a trap of a thrown Proxy',
      `throw new Proxy({}, { getPrototypeOf() { ${LOOP} }, get() { ${LOOP} } });`,
    ],
    ['in toString of a thrown value', `throw { toString() { ${LOOP} }, toJSON() { return undefined; } };`],
    ['in toJSON of the result', `return { toJSON() { ${LOOP} } };`],
    ['in a getter of the result', `return { get a() { ${LOOP} } };`],
    ['in ownKeys of a Proxy result', `return new Proxy({}, { ownKeys() { ${LOOP} } });`],
    ['in a thenable result', `return { then() { ${LOOP} } };`],
    ['in a thenable that resolves itself', 'const t = { then(r) { r(t); } }; return t;'],
    [
      'in a getter of a call’s input',
      `await this.service.get({ get uuid() { ${LOOP} } }); await this.tasks.add({ get method() { ${LOOP} } });`,
    ],
    ['in a getter of a log line', `this.logInfo('x', { get a() { ${LOOP} } });`],
    ['in a timer', `await new Promise(() => setTimeout(() => { ${LOOP} }, 1));`],
    [
      'in what a timer throws',
      `await new Promise(() => setTimeout(() => { throw { get stack() { ${LOOP} } }; }, 1));`,
    ],
    ['in the constructor', 'return new (class { constructor() { for (;;); } })();'],
    ['in a template’s data', `return this.view('t', { get x() { ${LOOP} } });`],
    ['in a template', "return this.view('loop', { list: Array.from({ length: 1e5 }) });"],
    ['in a validator', `return this.validate(v.pipe(v.string(), v.check(() => { ${LOOP} })), 'x');`],
    ['in a comparator', 'return [2, 1].sort(() => { for (;;); });'],
    [
      'in an iterator',
      'return Array.from({ [Symbol.iterator]() { return { next: () => ({ done: false, value: 1 }) }; } }, () => 0).length;',
    ],
    ['in a RegExp that backtracks', "return /^(a+)+$/.test('a'.repeat(40) + 'b');"],
    ['in eval', `return (0, eval)('for (;;);');`],
    ['in a finally', `try { return 1; } finally { ${LOOP} }`],
    ['in a catch of its own termination', 'for (;;) try { for (;;); } catch {} finally { continue; }'],
    ['in Symbol.toPrimitive', 'return `${{ [Symbol.toPrimitive]() { for (;;); } }}`;'],
    ['in URL parsing of something huge', "for (;;) new URL('https://example.com/' + '../a'.repeat(1e5));"],
    [
      'in structuredClone',
      'let x = []; for (let i = 0; i < 2e3; i++) x = [x, x]; return structuredClone(x);',
    ],
    ['in hashing', "for (;;) await crypto.subtle.digest('SHA-256', new Uint8Array(1e6));"],
  ])('%s', async (_where, body) => {
    const views = {
      't.liquid': '{{ x }}',
      'loop.liquid': '{% for a in list %}{% for b in list %}{{ a }}{% endfor %}{% endfor %}',
    };
    const outcome = await sandbox.call(moduleScript(`async run() { ${body} }`), 'run', [], {
      group: 'endless',
      entryMs: 150,
      views,
    });
    expect(['CPU_LIMIT', 'MEMORY_LIMIT', 'MODULE_ERROR']).toContain(codeOf(outcome));
    expect(outcome.usage.wallMs).toBeLessThan(LIMITS.heartbeatGraceMs);
  });

  it('at the top level of the module, and while it is loaded', async () => {
    for (const prelude of ['for (;;);', 'class X { static { for (;;); } }']) {
      const outcome = await sandbox.call(moduleScript('run() { return 1; }', prelude), 'run', [], {
        group: 'endless',
        entryMs: 150,
      });
      expect(codeOf(outcome)).toBe('CPU_LIMIT');
    }
  });
});

describe('natives that nothing interrupts end with a verdict at the latest when the heart stops beating', () => {
  it('one beside the other', { timeout: 60_000 }, async () => {
    const ended = await outcomes({
      power: 'return String(7n ** (7n ** 9n)).length;',
      digits: "return BigInt('9'.repeat(3e6)).toString().length;",
      sparse: 'return new Array(2 ** 32 - 2).indexOf(1);',
      last: 'const a = []; a[2 ** 32 - 2] = 1; return a.lastIndexOf(2);',
      fill: 'return new Array(2 ** 32 - 1).fill(1).length;',
      join: "return new Array(2 ** 29).join('x').length;",
      sort: 'return Array.from({ length: 5e6 }, (_, i) => (i * 7919) % 5e6).map(String).sort().length;',
      reverse: 'return new Array(2 ** 32 - 1).reverse().length;',
    });
    // Some are quick on some machines, and some run out of memory first: what they may not do is run on.
    for (const code of Object.values(ended))
      expect(['ok', 'CPU_LIMIT', 'TIMEOUT', 'MEMORY_LIMIT', 'CRASHED', 'MODULE_ERROR']).toContain(code);
    expect(ended['power']).not.toBe('ok');
    expect(ended['sparse']).not.toBe('ok');
  });

  const stuck = moduleScript(
    "hello() { return 'hello'; } run() { return new Array(2 ** 32 - 2).indexOf(1); }",
  );
  const long = { entryMs: 20_000, cpuHardMs: 20_000, key: 'stuck' };

  it('and with blame, when their own deadline comes first', async () => {
    const group = 'deadline';
    await sandbox.value(stuck, 'hello', [], { ...long, group });
    const outcome = await sandbox.call(stuck, 'run', [], { ...long, group, wallMs: 500 });
    expect([codeOf(outcome), outcome.killed]).toEqual(['TIMEOUT', true]);
  });

  it('and with blame, when they are cancelled', async () => {
    const group = 'cancelled';
    const controller = new AbortController();
    await sandbox.value(stuck, 'hello', [], { ...long, group });
    const running = sandbox.call(stuck, 'run', [], { ...long, group, signal: controller.signal });
    setTimeout(() => controller.abort(), 500);
    const outcome = await running;
    expect([codeOf(outcome), outcome.killed]).toEqual(['TIMEOUT', true]);
  });
});

describe('waiting is not working', () => {
  it('but ends with its time, unblamed, and nothing of it goes on', async () => {
    const notes: unknown[] = [];
    const script = moduleScript(
      "async run() { setInterval(() => this.logInfo('still here'), 20); await new Promise(() => {}); }",
    );
    const outcome = await sandbox.call(script, 'run', [], {
      group: 'waits',
      wallMs: 200,
      onNotify: (_path, input) => notes.push(input),
    });
    expect([codeOf(outcome), outcome.killed]).toEqual(['TIMEOUT', false]);
    const before = notes.length;
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(notes.length).toBe(before);
  });
});
