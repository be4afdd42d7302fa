/**
 * What is thrown crosses as a code and a text. Hostile error objects, prepared stacks and names made to deceive a reader of the log end
 * as text of a bounded length, and nothing of the host's own (paths, stacks, causes) goes in or out with them.
 */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { codeOf } from './sandbox-support.ts';

const { call, value } = useSandbox();
const HOST_PATH =
  /\/(?:work|home|tmp|root|usr|var|opt)\/|node:internal|runner\.mjs|bulkhead-stage|isolated_vm/;

describe('a thrown value', () => {
  it.each([
    [
      'with a message that is an object',
      'const e = new Error(); e.message = { toString() { return "text"; } }; throw e;',
    ],
    [
      'with a message that throws',
      'const e = new Error(); Object.defineProperty(e, "message", { get() { throw new Error("again"); } }); throw e;',
    ],
    [
      'with a stack that throws',
      'const e = new Error("x"); Object.defineProperty(e, "stack", { get() { throw 1; } }); throw e;',
    ],
    ['with a name of a megabyte', 'const e = new Error("x"); e.name = "n".repeat(1e6); throw e;'],
    ['with a message of a megabyte', 'throw new Error("m".repeat(1e6));'],
    ['with a stack of ten megabytes', 'const e = new Error("x"); e.stack = "s\\n".repeat(5e6); throw e;'],
    [
      'with a code that is an object',
      "const e = new bulkhead.CapabilityError({ code: 'LIMIT', message: 'x' }); Object.defineProperty(e, 'code', { value: { a: 1 } }); throw e;",
    ],
    [
      'with data without end',
      "const e = new bulkhead.CapabilityError({ code: 'LIMIT', message: 'x', data: 'd'.repeat(3e6) }); throw e;",
    ],
    ['that is a Proxy of an Error', 'throw new Proxy(new Error("x"), { get() { throw 1; } });'],
    [
      'that is a Proxy of a class',
      'throw new Proxy(class {}, { getPrototypeOf() { return Error.prototype; } });',
    ],
    ['that is null', 'throw null;'],
    ['that is a function', 'throw () => 1;'],
    ['that is a symbol', 'throw Symbol("x");'],
    ['that is a cycle', 'const a = {}; a.a = a; throw a;'],
    ['that is deep', 'let a = []; for (let i = 0; i < 1e4; i++) a = [a]; throw a;'],
    ['that is a text', 'throw "a text";'],
    ['that is a SuppressedError', 'using x = { [Symbol.dispose]() { throw 1; } }; throw 2;'],
    ['that is a RangeError, which is no lack of memory', "'x'.repeat(-1);"],
    [
      'that is an InternalError of sorts',
      "const e = new Error('Isolate was disposed during execution due to memory limit'); throw e;",
    ],
    ['that speaks of a time-out', "throw new Error('Script execution timed out.');"],
    ['out of all stack', 'const f = () => { try { f(); } finally { f(); } }; f();'],
  ])('%s is a bounded text', async (_what, body) => {
    const outcome = await call(moduleScript(`async run() { ${body} }`), 'run', [], { entryMs: 500 });
    expect(['MODULE_ERROR', 'LIMIT', 'BAD_OUTPUT', 'LOAD_FAILED', 'CPU_LIMIT']).toContain(codeOf(outcome));
    expect(JSON.stringify(outcome.envelope).length).toBeLessThan(80_000);
    expect(JSON.stringify(outcome.envelope)).not.toMatch(HOST_PATH);
  });

  it.each([
    ["const e = new Error('Isolate was disposed during execution due to memory limit'); throw e;"],
    ["throw new Error('Script execution timed out.');"],
    ["Promise.reject(new Error('Script execution timed out.')); throw new Error('x');"],
    ["throw new bulkhead.CapabilityError({ code: 'MEMORY_LIMIT', message: 'x' });"],
    ["throw Object.assign(new Error('x'), { code: 'CPU_LIMIT' });"],
  ])('does not pass for the sandbox’s own verdict: %s', async (body) => {
    const outcome = await call(moduleScript(`async run() { ${body} }`), 'run');
    expect([codeOf(outcome), outcome.killed]).toEqual(['MODULE_ERROR', false]);
  });
});

describe('a stack', () => {
  it('holds frames of the module only, of a bounded length', async () => {
    const outcome = await call(
      moduleScript(
        'run() { const deep = (n) => { if (n === 0) throw new Error("x"); deep(n - 1); }; deep(50); }',
      ),
      'run',
    );
    const text = JSON.stringify(outcome.envelope);
    expect(text).toContain('Product/Probe/module.js');
    expect(text).not.toContain('bulkhead:guest');
    expect(text).not.toMatch(HOST_PATH);
    const shallow = await call(moduleScript('run() { throw new Error("x"); }'), 'run');
    expect(JSON.stringify(shallow.envelope)).toContain('Product/Probe/module.js');
    expect(JSON.stringify(shallow.envelope)).not.toContain('bulkhead:guest');
  });

  it('cannot be prepared, neither for oneself nor for who comes after', async () => {
    const script = moduleScript(`run() {
      let sites; let refused = false;
      try { Error.prepareStackTrace = (_error, given) => { sites = given; return 'prepared'; }; } catch { refused = true; }
      const { stack } = new Error('x');
      return [refused, sites === undefined, typeof stack, stack.includes('prepared')];
    }`);
    expect(await value(script, 'run')).toEqual([true, true, 'string', false]);
  });

  it('gives no caller: sloppy code sees nothing of who called it', async () => {
    const script = moduleScript(`run() {
      const callers = [];
      const probe = (0, eval)("(function (callers) { return function probe() { if (probe.caller !== null) callers.push(String(probe.caller).slice(0, 80)); return 1; }; })")(callers);
      [1].map(probe); JSON.stringify({ toJSON: probe }); 'x'.replace(/x/, probe); [2, 1].sort(probe); Reflect.apply(probe, null, []);
      this.view('t', { get x() { probe(); return 1; } });
      this.validate(v.pipe(v.string(), v.check(probe)), 'x');
      this.logInfo('x', { toJSON: probe });
      return callers;
    }`);
    expect(await value(script, 'run', [], { views: { 't.liquid': '{{ x }}' } })).toEqual([]);
  });

  it('that names files and lines of its own choice stays a text', async () => {
    const script = moduleScript(
      'run() { (0, eval)(\'throw new Error("<script>alert(1)</script>\\\\n    at /etc/passwd:1:1\\\\u001b[31m") //# sourceURL=file:///etc/shadow\'); }',
    );
    const { envelope } = await call(script, 'run');
    expect(envelope).toMatchObject({
      ok: false,
      error: { code: 'MODULE_ERROR', message: expect.stringContaining('<script>') as string },
    });
  });
});

describe('a log line', () => {
  it('is told with its level from the closed list, its action cut, or not at all', async () => {
    const lines: unknown[] = [];
    const onNotify = (_path: string, input: unknown) => lines.push(input);
    const script = moduleScript(`run() {
      console.log('a\\nforged line'); console.error({ toJSON() { throw 1; } }); console.log(new Proxy({}, { get() { throw 1; } }), Symbol('x'));
      this.logInfo('x'.repeat(500)); this.logInfo({ not: 'a text' }); this.logInfo('\\u0000\\ud800');
      this.logInfo('big', 'y'.repeat(5e5));
      return 1; }`);
    expect(await value(script, 'run', [], { onNotify })).toBe(1);
    for (const line of lines as { level: string; action: string }[]) {
      expect(['info', 'error', 'warning', 'debug']).toContain(line.level);
      expect(line.action.length).toBeLessThanOrEqual(200);
      expect(line.action).not.toContain('\n');
    }
    expect(lines.length).toBeGreaterThan(3);
  });
});
