/** What ends an invocation, and what that does to its neighbours: time, processor, memory, floods, native calls, crashes. */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';

const { call, value, sandbox } = useSandbox();

const quiet = moduleScript(
  "hello() { return 'hello'; } async wait() { await new Promise((resolve) => setTimeout(resolve, 400)); return 'waited'; }",
);

describe('an invocation that does not keep to its bounds', () => {
  it.each([
    ['loops', 'for (;;);'],
    ['loops after an await', 'await this.service.get(); for (;;);'],
    ['loops in a microtask', 'await null; for (;;) await null;'],
    ['loops where its error is read', 'throw { get stack() { for (;;); }, get message() { for (;;); } };'],
    ['loops in toJSON', 'return { toJSON() { for (;;); } };'],
    ['loops in a timer', 'return new Promise(() => setTimeout(() => { for (;;); }, 1));'],
  ])('is ended with CPU_LIMIT when it %s', async (_what, body) => {
    const outcome = await call(moduleScript(`async run() { ${body} }`), 'run', [], {
      group: 'loops',
      entryMs: 200,
    });
    expect(outcome.envelope).toMatchObject({ ok: false, error: { code: 'CPU_LIMIT' } });
    expect(outcome.killed).toBe(true);
    expect(await value(quiet, 'hello', [], { group: 'loops' })).toBe('hello');
  });

  it('is ended when many short entries add up', async () => {
    const script = moduleScript(
      'async run() { for (;;) { const end = Date.now() + 20; while (Date.now() < end); await this.service.get(); } }',
    );
    const outcome = await call(script, 'run', [], { group: 'sum', cpuHardMs: 150 });
    expect(outcome.envelope).toMatchObject({ ok: false, error: { code: 'CPU_LIMIT' } });
  });

  it('is ended with TIMEOUT when it only waits', async () => {
    const script = moduleScript('async run() { await new Promise(() => {}); }');
    expect((await call(script, 'run', [], { group: 'wall', wallMs: 150 })).envelope).toMatchObject({
      ok: false,
      error: { code: 'TIMEOUT' },
    });
  });

  it('is ended with MEMORY_LIMIT when its heap grows', async () => {
    const script = moduleScript(
      'run() { const hoard = []; for (;;) hoard.push(new Array(100_000).fill(hoard.length)); }',
    );
    const outcome = await call(script, 'run', [], { group: 'heap', entryMs: 5_000, cpuHardMs: 5_000 });
    expect(outcome.envelope).toMatchObject({ ok: false, error: { code: 'MEMORY_LIMIT' } });
  });

  it('has its process killed when a native call cannot be interrupted', async () => {
    const script = moduleScript('run() { return String(7n ** (7n ** 9n)).length; }');
    const outcome = await call(script, 'run', [], { group: 'native', entryMs: 200, wallMs: 20_000 });
    expect(outcome.envelope).toMatchObject({ ok: false });
    expect(['TIMEOUT', 'CPU_LIMIT', 'MEMORY_LIMIT', 'MODULE_ERROR']).toContain(
      outcome.envelope.ok ? '' : outcome.envelope.error.code,
    );
    expect(await value(quiet, 'hello', [], { group: 'native' })).toBe('hello');
  });

  it('is cancelled by its signal', async () => {
    const controller = new AbortController();
    const running = call(quiet, 'wait', [], { group: 'cancel', signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    expect((await running).envelope).toMatchObject({ ok: false, error: { code: 'CANCELLED' } });
  });

  it('cannot have more calls in flight than allowed', async () => {
    const script = moduleScript(
      "async run() { const all = await Promise.allSettled(Array.from({ length: 100 }, () => this.service.get())); return all.filter((one) => one.status === 'rejected' && one.reason.code === 'LIMIT').length; }",
    );
    expect(await value(script, 'run', [], { group: 'flight' })).toBe(36);
  });

  it('can end after a flood of its own, of which the rest is dropped', async () => {
    let lines = 0;
    const script = moduleScript(
      "run() { for (let line = 0; line < 5_000; line++) this.logInfo('flood'); return 'ended'; }",
    );
    expect(await value(script, 'run', [], { group: 'flood', onNotify: () => lines++ })).toBe('ended');
    expect(lines).toBeLessThanOrEqual(1_000);
  });

  it('cannot send or return too much at once', async () => {
    const script = moduleScript(
      "async send() { await this.crypt.encryptString('x'.repeat(2_000_000)); } give() { return 'x'.repeat(5_000_000); }",
    );
    expect((await call(script, 'send', [], { group: 'bytes' })).envelope).toMatchObject({
      ok: false,
      error: { code: 'LIMIT' },
    });
    expect((await call(script, 'give', [], { group: 'bytes' })).envelope).toMatchObject({
      ok: false,
      error: { code: 'LIMIT' },
    });
  });

  it('sees bad input refused before any broker does', async () => {
    let served = 0;
    const script = moduleScript("run() { return this.service.setProvisionStatus('whatever I like'); }");
    const outcome = await call(script, 'run', [], {
      group: 'input',
      onCall: async () => {
        served++;
        return {};
      },
    });
    expect(outcome.envelope).toMatchObject({ ok: false, error: { code: 'BAD_INPUT' } });
    expect(served).toBe(0);
  });
});

describe('its neighbours', () => {
  it('in another group do not notice', async () => {
    const [hog, other] = await Promise.all([
      call(moduleScript('run() { for (;;); }'), 'run', [], { group: 'hog', entryMs: 600 }),
      value(quiet, 'wait', [], { group: 'beside' }),
    ]);
    expect(hog.killed).toBe(true);
    expect(other).toBe('waited');
  });

  it('in the same isolate are interrupted, not blamed', async () => {
    const script = moduleScript(
      "async wait() { await new Promise((resolve) => setTimeout(resolve, 2_000)); return 'waited'; } loop() { for (;;); }",
    );
    const waiting = call(script, 'wait', [], { group: 'same' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const looping = await call(script, 'loop', [], { group: 'same', entryMs: 200 });
    expect(looping.envelope).toMatchObject({ ok: false, error: { code: 'CPU_LIMIT' } });
    expect((await waiting).envelope).toMatchObject({ ok: false, error: { code: 'INTERRUPTED' } });
  });

  it('in a killed process are interrupted, and the one it was in is blamed', async () => {
    await value(quiet, 'hello', [], { group: 'crash' });
    const waiting = call(quiet, 'wait', [], { group: 'crash' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const spinning = call(moduleScript('run() { for (;;); }'), 'run', [], {
      group: 'crash',
      entryMs: 2_000,
      cpuHardMs: 5_000,
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    const pid = sandbox()
      .stats()
      .find((runner) => runner.group === 'crash')?.pid;
    process.kill(pid ?? 0, 'SIGKILL');
    expect((await spinning).envelope).toMatchObject({ ok: false, error: { code: 'CRASHED' } });
    expect((await waiting).envelope).toMatchObject({ ok: false, error: { code: 'INTERRUPTED' } });
    expect(await value(quiet, 'hello', [], { group: 'crash' })).toBe('hello');
  });
});

describe('a script', () => {
  it.each([
    ['does not parse', 'class {'],
    ['closes its own function', '}); globalThis.escaped = true; (function () {'],
    ['exports nothing', 'const x = 1;'],
    ['requires something else', "require('node:fs');"],
  ])('that %s is not run', async (_what, script) => {
    expect((await call(script, 'run', [], { group: 'scripts' })).envelope.ok).toBe(false);
  });

  it('finds none of the globals that break the limits', async () => {
    const names = [
      'WebAssembly',
      'SharedArrayBuffer',
      'Atomics',
      'FinalizationRegistry',
      'WeakRef',
      'process',
      'Buffer',
      '__bulkhead',
      'module.constructor._load',
    ];
    const script = moduleScript(
      `run() { return ${JSON.stringify(names)}.filter((name) => name in globalThis); }`,
    );
    expect(await value(script, 'run', [], { group: 'scripts' })).toEqual([]);
  });

  it('cannot make an array buffer that grows', async () => {
    const script = moduleScript(
      'run() { const buffer = new ArrayBuffer(8, { maxByteLength: 1_000_000 }); return [buffer.resizable, typeof buffer.resize, typeof buffer.transfer]; }',
    );
    expect(await value(script, 'run', [], { group: 'scripts' })).toEqual([false, 'undefined', 'undefined']);
  });
});
