/**
 * Ways to bring the whole runner process down. The one who does is blamed, their neighbours are interrupted and may be run again, other
 * groups notice nothing, and the next call is served by a new process.
 */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { bystanderIsWell, codeOf } from './sandbox-support.ts';

const sandbox = useSandbox();
const { call, value } = sandbox;
const calm = moduleScript(
  "hello() { return 'hello'; } async wait() { await new Promise((resolve) => setTimeout(resolve, 8_000)); return 'waited'; }",
);

function pidOf(group: string): number {
  return (
    sandbox
      .sandbox()
      .stats()
      .find((runner) => runner.group === group)?.pid ?? 0
  );
}

/** Memory that V8 gives up on with an abort, or natives that only SIGKILL ends: all take the process with them. */
const KILLERS: readonly (readonly [what: string, body: string])[] = [
  ['a native without end', 'return new Array(2 ** 32 - 2).indexOf(1);'],
  ['a power without end', 'return String(7n ** (7n ** 9n)).length;'],
];

describe('a process that goes down', () => {
  it.each(KILLERS)(
    'by %s blames the one who did it, interrupts the others, and comes back',
    async (_what, body) => {
      const group = `crash-${_what}`;
      const killer = moduleScript(`run() { ${body} } hello() { return 'hello'; }`);
      expect(await value(calm, 'hello', [], { group })).toBe('hello');
      expect(await value(killer, 'hello', [], { group })).toBe('hello');
      const before = pidOf(group);
      const neighbours = [
        call(calm, 'wait', [], { group, wallMs: 20_000 }),
        call(calm, 'wait', [], { group, wallMs: 20_000 }),
      ];
      const culprit = await call(killer, 'run', [], {
        group,
        wallMs: 1_000,
        entryMs: 20_000,
        cpuHardMs: 20_000,
      });
      expect([codeOf(culprit), culprit.killed]).toEqual(['TIMEOUT', true]);
      for (const neighbour of await Promise.all(neighbours))
        expect([codeOf(neighbour), neighbour.killed]).toEqual(['INTERRUPTED', false]);
      expect(await value(calm, 'hello', [], { group })).toBe('hello');
      expect(pidOf(group)).not.toBe(before);
      await bystanderIsWell(sandbox);
    },
  );

  it('while nobody is in it blames nobody', async () => {
    const group = 'idle-crash';
    await value(calm, 'hello', [], { group });
    const waiting = call(calm, 'wait', [], { group });
    await new Promise((resolve) => setTimeout(resolve, 300));
    process.kill(pidOf(group), 'SIGKILL');
    const outcome = await waiting;
    expect([codeOf(outcome), outcome.killed]).toEqual(['INTERRUPTED', false]);
  });

  it.each(['SIGSEGV', 'SIGABRT', 'SIGTERM'] as const)(
    'by %s while somebody is in it blames that one',
    async (signal) => {
      const group = `signal-${signal}`;
      const spinner = moduleScript("run() { for (;;); } hello() { return 'hello'; }");
      expect(await value(spinner, 'hello', [], { group })).toBe('hello');
      const spinning = call(spinner, 'run', [], { group, entryMs: 20_000, cpuHardMs: 20_000 });
      await new Promise((resolve) => setTimeout(resolve, 600));
      process.kill(pidOf(group), signal);
      const outcome = await spinning;
      expect(['CRASHED', 'CPU_LIMIT']).toContain(codeOf(outcome));
      expect(outcome.killed).toBe(true);
    },
  );

  it('is not brought down by what only breaks a module', async () => {
    const group = 'breaks';
    await value(calm, 'hello', [], { group });
    const before = pidOf(group);
    for (const body of [
      "setTimeout(() => { throw new Error('in a timer'); }, 1); await new Promise(() => {});",
      "Promise.reject(new Error('nobody cares')); return 1;",
      'Promise.reject({ get stack() { throw 1; } }); return 1;',
      "return 'x'.repeat(-1);",
      'throw null;',
      'throw undefined;',
      'throw Symbol("x");',
      'throw 1n;',
      'return 1n;',
      'return Symbol("x");',
      'return () => 1;',
      'const f = () => f(); f();',
      'return new Float16Array(4);',
      'return new (class extends Proxy { constructor() { super({}, {}); } })();',
      'return new Proxy(function () {}, {});',
      "this.logInfo('€'.repeat(4e6)); return 1;",
      "eval('\\\\u{0}');",
      'return Reflect.construct(Object, [], Proxy);',
      'await new Promise((_, reject) => reject(new AggregateError([1])));',
    ])
      expect(['ok', 'MODULE_ERROR', 'BAD_OUTPUT']).toContain(
        codeOf(await call(moduleScript(`async run() { ${body} }`), 'run', [], { group })),
      );
    expect(pidOf(group)).toBe(before);
  });
});

describe('a neighbour in the same isolate is not ended', () => {
  it.each([
    [
      'an error in a timer',
      "setTimeout(() => { throw new Error('x'); }, 1); await new Promise(() => {});",
      'MODULE_ERROR',
    ],
    ['a promise nobody handles', "Promise.reject(new Error('Script execution timed out.')); return 1;", 'ok'],
    ['a log line that is too long', "this.logInfo('€'.repeat(4e6)); return 1;", 'ok'],
    ['a flood of log lines', "for (let i = 0; i < 1e4; i++) this.logInfo('x'); return 1;", 'ok'],
    ['waiting for too long', 'await new Promise(() => {});', 'TIMEOUT'],
    ['too many calls', 'for (;;) await this.service.get();', 'LIMIT'],
  ])('by %s', async (_what, body, code) => {
    const script = moduleScript(
      `async run() { ${body} } async wait() { await new Promise((resolve) => setTimeout(resolve, 900)); return 'waited'; }`,
    );
    const group = 'same-isolate';
    const waiting = value(script, 'wait', [], { group });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const wallMs = code === 'TIMEOUT' ? 500 : 10_000;
    expect(codeOf(await call(script, 'run', [], { group, wallMs }))).toBe(code);
    expect(await waiting).toBe('waited');
  });
});
