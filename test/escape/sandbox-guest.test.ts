/**
 * The guest's runtime is lost: module code speaks to its runner in the runtime's place, raw. In the same process live the isolates of
 * the tenant's other modules, with grants of their own: it must not be able to speak for them.
 */
import { describe, expect, it } from 'vitest';
import { codeOf, useForgedSandbox } from './sandbox-support.ts';

/** The module's text is the body of a function of one entry that returns what is collected. */
const FORGED_GUEST = `
let speak; let out = '';
const message = (kind, id, name, body) => [kind, id, name, body];
const outbox = (...messages) => {
  const head = messages.flatMap(([kind, id, name, body]) => [kind, id, name.length, body.length]).join(',');
  return head.length + ':' + head + messages.map(([, , name, body]) => name + body).join('');
};
const done = (id, value = 'done') => message(3, id, '', JSON.stringify({ ok: true, value: { results: [{ value }] } }));
const entries = {
  define(name, script) { speak = new Function('entry', 'message', 'outbox', 'done', script); },
  enter(kind, id, name, body) { out = speak({ kind, id, name, body }, message, outbox, done); },
  collect() { return out; },
};
globalThis.__bulkhead = { wake: () => entries };`;

const { run } = useForgedSandbox({ guest: FORGED_GUEST });

const honestWait = `
  if (entry.kind === 3) return outbox(message(4, entry.id, '1', '600'));
  return outbox(done(entry.id, 'waited'));`;

describe('a guest that was taken over', () => {
  it('is heard when it speaks as a guest does', async () => {
    expect((await run('return outbox(done(entry.id))')).envelope).toEqual({
      ok: true,
      value: { results: [{ value: 'done' }] },
    });
  });

  it.each([
    [
      'a result',
      "message(3, id, '', JSON.stringify({ ok: true, value: { results: [{ value: 'forged' }] } }))",
    ],
    ['a call', "message(1, id, '7 crypt.encrypt', JSON.stringify({ text: 'forged' }))"],
    ['a log line', "message(2, id, 'logs.write', JSON.stringify({ level: 'info', action: 'forged' }))"],
  ])('cannot speak for another invocation: %s', async (_what, forgery) => {
    const heard: unknown[] = [];
    const listen = {
      group: 'shared',
      onCall: async (_path: string, input: unknown) => heard.push(input),
      onNotify: (_path: string, input: unknown) => heard.push(input),
    };
    const waiting = run(honestWait, listen);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const outcome = await run(
      `const all = []; for (let id = 1; id < 200; id++) if (id !== entry.id) all.push(${forgery}); return outbox(...all, done(entry.id));`,
      { group: 'shared' },
    );
    expect(outcome.envelope).toMatchObject({ ok: false, error: { code: 'MODULE_ERROR' } });
    expect((await waiting).envelope).toEqual({ ok: true, value: { results: [{ value: 'waited' }] } });
    expect(heard).toEqual([]);
  });

  it.each([
    ['no header', 'return "garbage"'],
    ['a header that is no number', 'return "x:1,2,3,4"'],
    ['a header that is too long', 'return "9999:3,1,0,0"'],
    ['negative lengths', 'return outbox(done(entry.id)).replace(/,0,/, ",-5,")'],
    ['lengths beyond the text', 'return "9:3,1,0,999"'],
    ['a count that is no multiple', 'return "5:3,1,0"'],
    ['an unknown kind', "return outbox(message(99, entry.id, '', ''))"],
    ['a name without end', "return outbox(message(1, entry.id, 'x'.repeat(1e5), '{}'))"],
    ['a call over its bytes', "return outbox(message(1, entry.id, '1 service.get', 'x'.repeat(2e6)))"],
    ['a notice over its bytes', "return outbox(message(2, entry.id, 'logs.write', 'x'.repeat(2e6)))"],
    ['a result over its bytes', "return outbox(message(3, entry.id, '', 'x'.repeat(5e6)))"],
    [
      'more timers than there are',
      "return outbox(...Array.from({ length: 101 }, (_, n) => message(4, entry.id, String(n), '9e5')))",
    ],
  ])('is ended for %s', async (_what, script) => {
    const outcome = await run(script, { wallMs: 500 });
    expect(codeOf(outcome)).toBe('MODULE_ERROR');
    expect(codeOf(await run('return outbox(done(entry.id))'))).toBe('ok');
  });

  it('is not heard when it says something that is no text', async () => {
    const outcome = await run('return { toString() { return "0:"; } }', { wallMs: 500 });
    expect(['MODULE_ERROR', 'TIMEOUT']).toContain(codeOf(outcome));
  });

  it('cannot claim what only the runner may say', async () => {
    for (const code of ['INTERRUPTED', 'CPU_LIMIT', 'CRASHED', 'INTERNAL', 'CANCELLED'])
      expect(
        codeOf(
          await run(
            `return outbox(message(3, entry.id, '', JSON.stringify({ ok: false, error: { code: '${code}', message: 'm' } })))`,
          ),
        ),
      ).toBe('MODULE_ERROR');
  });

  it('is not counted as killed for a time-out that it only claims', async () => {
    const outcome = await run(
      "return outbox(message(3, entry.id, '', JSON.stringify({ ok: false, error: { code: 'TIMEOUT', message: 'm' } })))",
    );
    expect([codeOf(outcome), outcome.killed]).toEqual(['TIMEOUT', false]);
  });

  it('has no more calls in flight and no more of them than it may', async () => {
    let served = 0;
    const outcome = await run(
      "return outbox(...Array.from({ length: 500 }, (_, n) => message(1, entry.id, n + 1 + ' service.get', '{}')))",
      {
        callsInFlight: 20,
        onCall: async () => {
          served++;
          return new Promise(() => undefined);
        },
      },
    );
    expect(codeOf(outcome)).toBe('LIMIT');
    expect(served).toBeLessThanOrEqual(20);
  });
});
