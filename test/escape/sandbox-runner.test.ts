/**
 * The runner process is lost: native code speaks to the supervisor in its place. It can ruin its own tenant's invocations and nothing
 * else: what it says is bounded, looked up and never believed beyond that, and whatever it says, this process goes on.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { bystanderIsWell, codeOf, FORGED_RUNNER, useForgedSandbox } from './sandbox-support.ts';

const forged = useForgedSandbox({ runner: FORGED_RUNNER });
const honest = useSandbox();

const rejections: unknown[] = [];
const note = (reason: unknown): void => void rejections.push(reason);
process.on('unhandledRejection', note).on('uncaughtException', note);
afterAll(() => {
  process.off('unhandledRejection', note).off('uncaughtException', note);
});

describe('a runner that was taken over', () => {
  it('is heard when it speaks as a runner does', async () => {
    const { envelope } = await forged.run('api.result(api.id)');
    expect(envelope).toEqual({ ok: true, value: { results: [{ value: 'forged' }] } });
  });

  it.each([
    ['bytes that are no frame', "api.write(Buffer.from('GET / HTTP/1.1\\r\\n\\r\\n'))"],
    ['a frame shorter than its header', 'api.write(Buffer.from([1, 0, 0, 0, 103]))'],
    ['a frame of 4 GB', 'api.write(Buffer.from([255, 255, 255, 255, 103, 1, 0, 0, 0, 0, 0]))'],
    [
      'a name longer than its frame',
      'const f = api.frame(103, api.id, "{}", "{}"); f.writeUInt16LE(60_000, 9); api.write(f)',
    ],
    ['an unknown kind', 'api.send(200, api.id)'],
    ['a kind of the other direction', 'api.send(3, api.id)'],
    ['a call without a number', "api.send(104, api.id, 'service.get', '{}')"],
    ['a call whose number is no number', "api.send(104, api.id, 'x service.get', '{}')"],
    [
      'a call whose number grows when it is decoded',
      'const f = api.frame(104, api.id, "1" + "x".repeat(60_000) + " service.get", "{}"); f.fill(255, 12, 60_000); api.write(f)',
    ],
    ['a usage that is no usage', "api.send(103, api.id, 'what', '{}')"],
    ['a usage with half of it missing', "api.send(103, api.id, '1 1', '{}')"],
    ['a result that is no JSON', 'api.result(api.id, \'{"ok":\')'],
    [
      'a pong that is no JSON',
      'const tick = setInterval(() => { for (let id = 0; id < 50; id++) api.send(106, id, "", "{"); }, 20)',
    ],
  ])('is ended for %s, and the one it was in is told', async (_what, script) => {
    const outcome = await forged.run(script);
    expect(codeOf(outcome)).toBe('CRASHED');
    expect(outcome.killed).toBe(true);
  });

  it.each([
    ['garbage for an input', "api.send(104, api.id, '1 service.get', '{\"uuid\":')", 'BAD_INPUT'],
    [
      'an input nested a million deep',
      "api.send(104, api.id, '1 tasks.add', '{\"method\":\"m\",\"params\":' + '['.repeat(4e5) + ']'.repeat(4e5) + '}')",
      'LIMIT',
    ],
    [
      'an input over its bytes',
      "api.send(104, api.id, '1 service.get', JSON.stringify('x'.repeat(2e6)))",
      'LIMIT',
    ],
    [
      'half a million wrong tags',
      "api.send(104, api.id, '1 tasks.add', JSON.stringify({ method: 'm', tags: Array(5e5).fill(0) }))",
      'LIMIT',
    ],
    [
      'forty thousand wrong tags',
      "api.send(104, api.id, '1 tasks.add', JSON.stringify({ method: 'm', tags: Array(4e4).fill(0) }))",
      'BAD_INPUT',
    ],
    ['an op of Object.prototype', "api.send(104, api.id, '1 db.constructor', '{}')", 'NOT_FOUND'],
    ['a capability of Object.prototype', "api.send(104, api.id, '1 __proto__.get', '{}')", 'NOT_FOUND'],
    [
      'a notification as a call',
      'api.send(104, api.id, \'1 logs.write\', \'{"level":"info","action":"x"}\')',
      'NOT_FOUND',
    ],
  ])('gets a refusal for %s, and no broker sees it', async (_what, script, code) => {
    let served = 0;
    const answered =
      'api.onAnswer = (id, name, body) => api.result(id, { ok: true, value: { results: [{ value: JSON.parse(body).error.code }] } });';
    const { envelope } = await forged.run(`${answered} ${script}`, {
      onCall: async () => {
        served++;
        return {};
      },
    });
    expect(envelope).toEqual({ ok: true, value: { results: [{ value: code }] } });
    expect(served).toBe(0);
  });

  it('cannot touch invocations of another group, whatever number it guesses', async () => {
    const victim = moduleScript(
      'async wait() { await new Promise((resolve) => setTimeout(resolve, 300)); return await this.crypt.encryptString("mine"); }',
    );
    const seen: unknown[] = [];
    const waiting = honest.value(victim, 'wait', [], {
      group: 'victim',
      onCall: async (_path, input) => {
        seen.push(input);
        return { sealed: 'sealed' };
      },
    });
    const outcome = await forged.run(`
      for (let id = 0; id < 3_000; id++) if (id !== api.id) {
        api.result(id);
        api.send(104, id, '1 crypt.encrypt', '{"text":"forged"}');
        api.send(105, id, 'logs.write', '{"level":"info","action":"forged"}');
      }
      api.result(api.id);`);
    expect(codeOf(outcome)).toBe('ok');
    expect(await waiting).toBe('sealed');
    expect(seen).toEqual([{ text: 'mine' }]);
  });

  it('is heard once: a second result and calls after it have no effect', async () => {
    const calls: string[] = [];
    const outcome = await forged.run(
      `api.result(api.id); api.result(api.id, { ok: true, value: { results: [{ value: 'second' }] } });
       api.send(104, api.id, '1 service.get', '{}'); api.send(105, api.id, 'logs.write', '{"level":"info","action":"late"}');`,
      { onCall: async (path) => calls.push(path), onNotify: (path) => calls.push(path) },
    );
    expect(outcome.envelope).toEqual({ ok: true, value: { results: [{ value: 'forged' }] } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(calls).toEqual([]);
  });

  it('is ended when it lets more calls through than a runner does', async () => {
    let served = 0;
    const onCall = async (): Promise<unknown> => {
      served++;
      return new Promise(() => undefined);
    };
    const flood = "for (let n = 1; n <= 500; n++) api.send(104, api.id, n + ' service.get', '{}')";
    expect(codeOf(await forged.run(flood, { onCall, callsInFlight: 10 }))).toBe('CRASHED');
    expect(served).toBe(10);
    served = 0;
    expect(codeOf(await forged.run(flood, { onCall, callsInFlight: 1_000, calls: 20 }))).toBe('CRASHED');
    expect(served).toBe(20);
  });

  it('is ended when it does not read the answers it asks for', async () => {
    const big = 'x'.repeat(LIMITS.resultBytes - 100);
    const script =
      "api.stopReading(); let n = 0; setInterval(() => { if (n < 900) api.send(104, api.id, ++n + ' service.get', '{}'); }, 2)";
    const outcome = await forged.run(script, { onCall: async () => big, callsInFlight: 900, wallMs: 20_000 });
    expect(codeOf(outcome)).toBe('MEMORY_LIMIT');
  });

  it.each([
    ['infinite', `${'9'.repeat(400)} 1 1`],
    ['negative', '-1 1 1'],
    ['made of words', '[object Object] 1e999 true'],
  ])('cannot write a bill that is %s', async (_what, usage) => {
    const outcome = await forged.run(
      `api.send(103, api.id, ${JSON.stringify(usage)}, '{"ok":true,"value":{"results":[]}}')`,
    );
    expect(outcome.usage.cpuUs).toBeGreaterThanOrEqual(0);
    expect(outcome.usage.cpuUs).toBeLessThanOrEqual((outcome.usage.wallMs + 1) * 1_000);
    expect(outcome.usage.calls).toBe(0);
  });

  it('cannot claim more time than has passed, nor fewer calls than were served', async () => {
    const outcome = await forged.run(`
      api.onAnswer = (id) => api.send(103, id, '900000000000000 1 1', '{"ok":true,"value":{"results":[]}}');
      api.send(104, api.id, '1 service.get', '{}');`);
    expect(outcome.usage.cpuUs).toBeLessThanOrEqual((outcome.usage.wallMs + 1) * 1_000);
    expect(outcome.usage.calls).toBe(1);
  });

  it.each([
    [
      'a code that is the host’s alone',
      { ok: false, error: { code: 'INTERNAL', message: 'm' } },
      'MODULE_ERROR',
    ],
    [
      'a code of Object.prototype',
      { ok: false, error: { code: 'constructor', message: 'm' } },
      'MODULE_ERROR',
    ],
    [
      'INTERRUPTED in a module’s name',
      { ok: false, error: { code: 'INTERRUPTED', message: 'm' } },
      'MODULE_ERROR',
    ],
    ['a form that is none', { ok: 'perhaps' }, 'BAD_OUTPUT'],
    [
      'a response of an unknown kind',
      { ok: true, value: { results: [{ response: { kind: 'exe' } }] } },
      'BAD_OUTPUT',
    ],
    [
      'more results than calls',
      { ok: true, value: { results: Array.from({ length: 300_000 }, () => ({ value: 0 })) } },
      'BAD_OUTPUT',
    ],
    [
      'a result that is too long',
      { ok: true, value: { results: [{ value: 'x'.repeat(LIMITS.resultBytes) }] } },
      'LIMIT',
    ],
  ])('cannot answer with %s', async (_what, envelope, code) => {
    const outcome = await forged.run(`api.result(api.id, ${JSON.stringify(envelope)})`);
    expect(codeOf(outcome)).toBe(code);
    expect(outcome.killed).toBe(false);
  });

  it('cannot make an error that fills the log', async () => {
    const { envelope } = await forged.run(
      "api.result(api.id, { ok: false, error: { code: 'MODULE_ERROR', message: 'm'.repeat(1e6), data: 'd'.repeat(1e6) } })",
    );
    expect(JSON.stringify(envelope).length).toBeLessThan(3_000);
  });

  it('cannot put anything into a prototype of this process', async () => {
    const { envelope } = await forged.run(`
      const text = '{"ok":true,"value":{"results":[{"value":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}],"__proto__":{"polluted":1}},"__proto__":{"polluted":1}}';
      api.result(api.id, text);`);
    expect(envelope.ok).toBe(true);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it('blames, by the mark it leaves, nobody but those who are open in it', async () => {
    const outcome = await forged.run('api.mark(1); setTimeout(() => process.abort(), 50)');
    expect(['CRASHED', 'INTERRUPTED']).toContain(codeOf(outcome));
    await bystanderIsWell(honest);
  });

  it('is ended when it grows over its cap', async () => {
    const outcome = await forged.run(
      'api.mark(api.id); const hold = []; setInterval(() => hold.push(Buffer.alloc(3e7, 1)), 5)',
      { wallMs: 20_000 },
    );
    expect([codeOf(outcome), outcome.killed]).toEqual(['MEMORY_LIMIT', true]);
  });

  it('is ended when its heart does not beat', async () => {
    const outcome = await forged.run('api.mark(api.id); for (;;);', { wallMs: 20_000 });
    expect([codeOf(outcome), outcome.killed]).toEqual(['TIMEOUT', true]);
    // By its heart, long before its wall time would have ended it.
    expect(outcome.usage.wallMs).toBeLessThan(19_000);
  });

  it('that fills the socket with nonsense does not keep others waiting', async () => {
    const flooding = forged.run(
      "const junk = api.frame(105, 4e9, 'logs.write', JSON.stringify({ level: 'info', action: 'x'.repeat(200) })); const many = Buffer.concat(Array(2_000).fill(junk)); const pump = () => { while (api.socket.write(many)); api.socket.once('drain', pump); }; pump();",
      { wallMs: 1_500 },
    );
    const times: number[] = [];
    for (let round = 0; round < 40; round++) {
      const startedAt = performance.now();
      await bystanderIsWell(honest);
      times.push(performance.now() - startedAt);
    }
    expect(['TIMEOUT', 'CRASHED', 'MEMORY_LIMIT']).toContain(codeOf(await flooding));
    expect(times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)]).toBeLessThan(250);
  });
});

it('and none of it was an error that would have ended the host', async () => {
  await bystanderIsWell(honest);
  expect(rejections).toEqual([]);
});
