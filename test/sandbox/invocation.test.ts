/** What an invocation is: one fresh evaluation, one identity, one bill, and nothing of it left for the next. */
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';

const { call, value } = useSandbox();

describe('an invocation', () => {
  it('gives the result of the method as JSON', async () => {
    expect(
      await value(moduleScript('sum(a, b) { return { sum: a + b, when: new Date(0) }; }'), 'sum', [2, 3]),
    ).toEqual({ sum: 5, when: '1970-01-01T00:00:00.000Z' });
  });

  it('evaluates the module anew: nothing at its top level survives', async () => {
    const script = moduleScript(
      'count() { cache.push(1); globalThing.n++; return [cache.length, globalThing.n]; }',
      'const cache = []; const globalThing = { n: 0 };',
    );
    expect(await value(script, 'count')).toEqual([1, 1]);
    expect(await value(script, 'count')).toEqual([1, 1]);
  });

  it.each([
    ['a global', 'globalThis.left = 1; return typeof left;'],
    ['a prototype', 'Array.prototype.left = 1; return [].left;'],
    ['Object.prototype', 'Object.prototype.left = 1; return ({}).left;'],
    [
      'a base class',
      'bulkhead.Product.prototype.left = 1; Object.getPrototypeOf(bulkhead.Product.prototype).left = 1; return 1;',
    ],
    ['a runtime library', 'v.string.left = 1; return v.string.left;'],
    ['a library class', "Object.getPrototypeOf(this.db.selectFrom('x')).left = 1; return 1;"],
    [
      'the Error constructor',
      "Error.stackTraceLimit = 0; Error.prepareStackTrace = () => 'x'; return Error.stackTraceLimit;",
    ],
    ['the namespace', 'bulkhead.left = 1; return bulkhead.left;'],
    ['the async function prototype', 'Object.getPrototypeOf(async () => {}).left = 1; return 1;'],
    [
      'the array iterator prototype',
      'Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true }); return 1;',
    ],
    ['the URL class', 'URL.prototype.left = 1; return 1;'],
    [
      'a regular expression static',
      "/(secret)/.exec('secret'); if (RegExp.$1 === undefined || RegExp.$1 === '') throw new Error('gone'); return RegExp.$1;",
    ],
  ])('cannot leave something behind on %s', async (_where, body) => {
    await expect(value(moduleScript(`leave() { ${body} }`), 'leave')).rejects.toThrow(/MODULE_ERROR/);
  });

  it('may define own properties that shadow frozen ones, as honest code does', async () => {
    const script = moduleScript(`
      shadow() {
        class Custom extends Error { constructor(m) { super(m); this.name = 'Custom'; } }
        const record = {}; record.toString = () => 'mine'; record.constructor = 1; record.hasOwnProperty = 2;
        const error = new Custom('x'); error.message = 'y';
        return [error.name, error.message, String(record), Object.keys(record).length];
      }`);
    expect(await value(script, 'shadow')).toEqual(['Custom', 'y', 'mine', 3]);
  });

  it('is not resumed after it ended, whatever it left running', async () => {
    const notes: unknown[] = [];
    const script = moduleScript(`
      start() { this.later(); setTimeout(() => this.logInfo('timer after the end'), 5); return 'done'; }
      async later() { await this.service.get(); this.logInfo('call after the end'); }
      quiet() { return new Promise((resolve) => setTimeout(() => resolve('quiet'), 60)); }`);
    const options = {
      onNotify: (_path: string, input: unknown) => notes.push(input),
      onCall: async () => ({}),
    };
    expect(await value(script, 'start', [], options)).toBe('done');
    expect(await value(script, 'quiet', [], options)).toBe('quiet');
    expect(notes).toEqual([]);
  });

  it('has its calls, log lines and time billed to itself, also beside others', async () => {
    const script = moduleScript(`
      async work(name, rounds) {
        for (let round = 0; round < rounds; round++) { await this.crypt.encryptString(name); this.logInfo(name); }
        if (name === 'busy') { const end = Date.now() + 120; while (Date.now() < end); }
        return name;
      }`);
    const seen = new Map<string, Set<string>>();
    const run = async (name: string, rounds: number) => {
      const texts = new Set<string>();
      seen.set(name, texts);
      return call(script, 'work', [name, rounds], {
        onCall: async (_path, input) => {
          texts.add((input as { text: string }).text);
          return { sealed: 'x' };
        },
        onNotify: (_path, input) => texts.add((input as { action: string }).action),
      });
    };
    const [quiet, busy] = await Promise.all([run('quiet', 20), run('busy', 3)]);
    expect([...(seen.get('quiet') ?? [])]).toEqual(['quiet']);
    expect([...(seen.get('busy') ?? [])]).toEqual(['busy']);
    expect([quiet.usage.calls, busy.usage.calls]).toEqual([20, 3]);
    expect(busy.usage.cpuUs).toBeGreaterThan(60_000);
    expect(busy.usage.cpuUs).toBeGreaterThan(quiet.usage.cpuUs);
  });

  it('reports a thrown error with its code and nothing of the host', async () => {
    const { envelope } = await call(moduleScript("fail() { throw new TypeError('no such thing'); }"), 'fail');
    expect(envelope).toMatchObject({
      ok: false,
      error: { code: 'MODULE_ERROR', message: 'no such thing', data: { name: 'TypeError' } },
    });
    expect(JSON.stringify(envelope)).not.toMatch(/\/(?:work|home|tmp|root|usr)\//);
  });

  it('cannot claim a code that only the host may give', async () => {
    const script = moduleScript(
      "lie() { throw new bulkhead.CapabilityError({ code: 'INTERRUPTED', message: 'run me again for free' }); }",
    );
    expect((await call(script, 'lie')).envelope).toMatchObject({
      ok: false,
      error: { code: 'MODULE_ERROR' },
    });
  });

  it('passes on a capability’s refusal with its code', async () => {
    const script = moduleScript('ask() { return this.service.get(); }');
    const outcome = await call(script, 'ask', [], {
      onCall: async () => {
        throw new (await import('../../sandbox/contract/envelope.ts')).HostError(
          'NOT_FOUND',
          'no such service',
        );
      },
    });
    expect(outcome.envelope).toMatchObject({
      ok: false,
      error: { code: 'NOT_FOUND', message: 'no such service' },
    });
  });

  it('has no capability that was not granted', async () => {
    const script = moduleScript('has() { return [typeof this.db, typeof this.http, typeof this.tasks]; }');
    expect(await value(script, 'has', [], { context: { capabilities: ['http'] } })).toEqual([
      'undefined',
      'object',
      'undefined',
    ]);
  });

  it('gets its own randomness from its own seed', async () => {
    const script = moduleScript('draw() { return [crypto.randomUUID(), this.generateStrongPassword(20)]; }');
    const seeded = async (byte: number) =>
      value(script, 'draw', [], { context: { seed: Buffer.alloc(32, byte).toString('base64') } });
    expect(await seeded(1)).toEqual(await seeded(1));
    expect(await seeded(1)).not.toEqual(await seeded(2));
  });

  it('is who speaks through what all share, however the invocations of one isolate are mixed', async () => {
    const script = moduleScript(`async run(name) {
      const seen = [secret('name'), bulkhead.randomInt(0, 2 ** 31)];
      for (let turn = 0; turn < 3; turn++) {
        await this.crypt.encryptString(name);
        seen.push(secret('name'));
        console.log(name);
        await new Promise((resolve) => setTimeout(resolve, 1));
        const twin = new (Object.getPrototypeOf(this.constructor))();
        seen.push(secret('name'), twin.config('name'), crypto.randomUUID());
      }
      return seen;
    }`);
    const names = ['a', 'b', 'c', 'd'];
    const runs = names.map(async (name, index) => {
      const said: unknown[] = [];
      const result = await value(script, 'run', [name], {
        context: {
          secrets: { name },
          config: { name },
          seed: Buffer.alloc(32, index).toString('base64'),
        },
        onCall: async (_path, input) => {
          said.push(input);
          await setTimeout((names.length - index) * 2);
          return { sealed: '' };
        },
        onNotify: (_path, input) => said.push((input as { action: string }).action),
      });
      return { name, result: result as unknown[], said };
    });
    const all = await Promise.all(runs);
    for (const { name, result, said } of all) {
      const texts = result.filter((one) => typeof one === 'string' && one.length === 1);
      expect(new Set(texts)).toEqual(new Set([name]));
      expect(said).toEqual([{ text: name }, name, { text: name }, name, { text: name }, name]);
    }
    const drawn = all.flatMap(({ result }) => result.filter((one) => String(one).length > 1));
    expect(new Set(drawn).size).toBe(drawn.length);
  });

  it('reads what it shares with others of its installation as it was sent, whatever an earlier one did to it', async () => {
    const script = moduleScript(`run() {
      const config = this.config();
      const seen = JSON.stringify([config, this.tenant]);
      config.nested.list.push('mine');
      config.added = 1;
      this.tenant.name = 'mine';
      return [seen, this.config('added'), this.tenant.name];
    }`);
    const context = { config: { nested: { list: [] } } };
    const first = await value(script, 'run', [], { context });
    expect(first).toEqual([expect.stringContaining('"list":[]'), 1, 'mine']);
    expect(await value(script, 'run', [], { context })).toEqual(first);
  });

  it('renders its own views, escaped and translated', async () => {
    const script = moduleScript("page() { return this.view('client_area.general', { name: '<b>' }); }");
    const views = {
      'client_area/general.liquid': "{{ name }} {{ 'hello' | t: name: 'Ola' }} {{ 'css/a.css' | asset }}",
    };
    expect(await value(script, 'page', [], { views, context: { locale: 'pl' } })).toBe(
      '&lt;b&gt; Cześć Ola /m/v/assets/css/a.css',
    );
  });
});
