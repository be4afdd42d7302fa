/**
 * What crosses: one text in, one text out. Pollution, accessors, proxies, thenables, cycles, depth and odd characters, in results, in
 * inputs of calls and in what comes back: each arrives as plain data or as an error, and none as anything more.
 */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { codeOf } from './sandbox-support.ts';

const { call, value } = useSandbox();

async function run(body: string, options: Parameters<typeof call>[3] = {}): Promise<unknown> {
  return value(moduleScript(`async run(argument) { ${body} }`), 'run', [], options);
}

describe('intrinsics that the bridge relies on', () => {
  it.each([
    ['Object.prototype.toJSON', "Object.prototype.toJSON = () => 'polluted';"],
    ['Object.prototype.then', "Object.prototype.then = (resolve) => resolve('polluted');"],
    ['Object.prototype.reference', 'Object.prototype.reference = true;'],
    ['Object.prototype.copy', 'Object.prototype.copy = true;'],
    ['Object.prototype.timeout', 'Object.prototype.timeout = 1;'],
    ['Object.prototype.get', "Object.prototype.get = () => 'polluted';"],
    ['Object.prototype.set', "Object.prototype.set = () => 'polluted';"],
    ['Object.prototype.ok', 'Object.prototype.ok = true;'],
    [
      'a getter on Object.prototype',
      "Object.defineProperty(Object.prototype, 'value', { get() { return 'polluted'; } });",
    ],
    ['a setter on Object.prototype', "Object.prototype.__defineSetter__('body', () => { throw 1; });"],
    ['a setter on Array.prototype', "Object.defineProperty(Array.prototype, '0', { set(x) { throw x; } });"],
    ['Array.prototype.push', "Array.prototype.push = () => { throw new Error('polluted'); };"],
    ['Array.prototype.join', "Array.prototype.join = () => 'polluted';"],
    ['Array.prototype.map', 'Array.prototype.map = () => [];'],
    ['Array.prototype[Symbol.iterator]', 'Array.prototype[Symbol.iterator] = function* () {};'],
    [
      'Array[Symbol.species]',
      'Object.defineProperty(Array, Symbol.species, { value: class { constructor() { throw 1; } } });',
    ],
    ['Promise.prototype.then', "Promise.prototype.then = () => 'polluted';"],
    ['Promise[Symbol.species]', 'Object.defineProperty(Promise, Symbol.species, { value: class {} });'],
    ['Promise.resolve', "Promise.resolve = () => 'polluted';"],
    ['JSON.stringify', "JSON.stringify = () => 'polluted';"],
    ['JSON.parse', "JSON.parse = () => ({ ok: true, value: 'polluted' });"],
    ['JSON itself', "globalThis.JSON = { parse: () => 'polluted', stringify: () => 'polluted' };"],
    ['String.prototype.slice', "String.prototype.slice = () => 'polluted';"],
    ['String.prototype.toJSON', "String.prototype.toJSON = () => 'polluted';"],
    ['Map.prototype.get', "Map.prototype.get = () => { throw new Error('polluted'); };"],
    ['Function.prototype.call', "Function.prototype.call = () => 'polluted';"],
    ['Function.prototype.apply', "Function.prototype.apply = () => 'polluted';"],
    ['Reflect.apply', "Reflect.apply = () => 'polluted';"],
    ['Error.prototype.message', "Error.prototype.message = 'polluted';"],
    ['Error.captureStackTrace', 'Error.captureStackTrace = () => { throw 1; };'],
    [
      'the prototype of a function',
      "Object.setPrototypeOf(Object.prototype.toString, { call: () => 'polluted' });",
    ],
    ['the prototype of Object.prototype', 'Object.setPrototypeOf(Object.prototype, { polluted: 1 });'],
    ['Math.min', 'Math.min = () => NaN;'],
    ['Number', "globalThis.Number = () => 'polluted';"],
    ['Number.prototype.toString', "Number.prototype.toString = () => 'polluted';"],
    [
      'Symbol.hasInstance of an error class',
      'Object.defineProperty(bulkhead.CapabilityError, Symbol.hasInstance, { value: () => true });',
    ],
    [
      'the generator prototype',
      'Object.getPrototypeOf(function* () {}).prototype.next = () => ({ done: true });',
    ],
  ])('cannot be changed: %s', async (_what, pollution) => {
    const script = moduleScript(
      `async run() { let refused = false; try { ${pollution} } catch { refused = true; }
        const sealed = await this.crypt.encryptString('text');
        return { refused, sealed, list: [1, 'two', { three: 3 }] }; }`,
    );
    const seen: unknown[] = [];
    const onCall = async (_path: string, input: unknown) => {
      seen.push(input);
      return { sealed: 'sealed' };
    };
    expect(await value(script, 'run', [], { onCall })).toEqual({
      refused: true,
      sealed: 'sealed',
      list: [1, 'two', { three: 3 }],
    });
    expect(seen).toEqual([{ text: 'text' }]);
  });
});

describe('a result', () => {
  it.each([
    ['accessors', 'return { get a() { return 1; }, b: 2 };', { a: 1, b: 2 }],
    [
      'a Proxy',
      'return new Proxy({ a: 1 }, { get: (t, k) => k === "toJSON" ? undefined : 7, ownKeys: () => ["a"] });',
      { a: 7 },
    ],
    [
      'a class',
      'return new (class { constructor() { this.a = 1; } toJSON() { return { b: 2 }; } })();',
      { b: 2 },
    ],
    [
      'what JSON does not know',
      'return { a: undefined, b() {}, c: Symbol("c"), d: NaN, e: Infinity, f: new Map([[1, 2]]), g: new Date(0), h: -0 };',
      { d: null, e: null, f: {}, g: '1970-01-01T00:00:00.000Z', h: 0 },
    ],
    ['a sparse list', 'const a = []; a[3] = 1; return a;', [null, null, null, 1]],
    [
      'a typed array',
      'return { a: new Uint8Array([1, 2]), b: new Float16Array([1]) };',
      { a: { 0: 1, 1: 2 }, b: { 0: 1 } },
    ],
    [
      'a key __proto__',
      `return JSON.parse('{"__proto__":{"polluted":1},"a":2}');`,
      Object.fromEntries([
        ['a', 2],
        ['__proto__', { polluted: 1 }],
      ]),
    ],
    [
      'keys of the envelope',
      'return { ok: false, error: { code: "INTERNAL" }, results: [] };',
      { ok: false, error: { code: 'INTERNAL' }, results: [] },
    ],
    [
      'half of a surrogate pair',
      'return ["\\ud800", "\\udc00x", "\\u2028\\u2029\\0"];',
      ['\ud800', '\udc00x', '\u2028\u2029\0'],
    ],
    [
      'a text like a frame',
      'return "\\u0000\\u0000\\u0000\\u0007gh{}" + "9:3,1,0,999";',
      '\0\0\0\u0007gh{}9:3,1,0,999',
    ],
    ['nothing', 'return;', null],
    [
      'String objects',
      'return [new String("x"), Object("y"), new Number(1), new Boolean(false)];',
      ['x', 'y', 1, false],
    ],
    [
      'a document.all of sorts',
      'return Object.create(null, { a: { value: 1, enumerable: true }, b: { value: 2 } });',
      { a: 1 },
    ],
  ])('of %s is plain data', async (_what, body, expected) => {
    const result = await run(body);
    expect(result).toEqual(expected);
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it.each([
    ['a cycle', 'const a = {}; a.a = a; return a;'],
    ['a BigInt', 'return { a: 1n };'],
    ['a hundred thousand levels', 'let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a;'],
    ['a getter that throws', "return { get a() { throw new Error('no'); } };"],
    ['a Proxy that throws', 'return new Proxy({}, { ownKeys() { throw 1; } });'],
    ['a revoked Proxy', 'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy };'],
    ['a thenable that throws', "return { then() { throw new Error('no'); } };"],
    ['more than may be', "return 'x'.repeat(5e6);"],
    ['more than may be, in wide characters', "return '€'.repeat(2e6);"],
    ['a reply that is none', "return new bulkhead.json('x').constructor(1);"],
  ])('of %s is an error', async (_what, body) => {
    const outcome = await call(moduleScript(`async run() { ${body} }`), 'run');
    expect(['MODULE_ERROR', 'LIMIT', 'BAD_OUTPUT']).toContain(codeOf(outcome));
  });

  it('that is deep is carried as deep as it is', async () => {
    const depth = 1_000;
    let seen = await run(`let a = 'bottom'; for (let i = 0; i < ${depth}; i++) a = [a]; return a;`);
    for (let level = 0; level < depth; level++) seen = Array.isArray(seen) ? (seen[0] as unknown) : undefined;
    expect(seen).toBe('bottom');
  });

  it('that resolves late, twice or both ways is heard once', async () => {
    expect(
      await run("return { then(yes, no) { yes('first'); yes('second'); no(new Error('third')); } };"),
    ).toBe('first');
    expect(
      await run("return new Promise((yes, no) => { yes('first'); no(new Error('second')); throw 1; });"),
    ).toBe('first');
  });
});

describe('what goes into a call', () => {
  it('is the JSON of it, and nothing of its prototypes', async () => {
    const seen: unknown[] = [];
    await run(
      `class Evil { constructor() { this.method = 'createJob'; } get params() { return { hidden: 1 }; } }
       await this.tasks.add(new Evil());
       await this.tasks.add(Object.assign(Object.create({ params: { hidden: 1 } }), { method: 'createJob' }));
       await this.tasks.add(JSON.parse('{"method":"createJob","params":{"__proto__":{"polluted":1}},"__proto__":{"tries":100}}'));`,
      {
        onCall: async (_path, input) => {
          seen.push(input);
          return { uuid: 'u', status: 'queued' };
        },
      },
    );
    expect(seen).toHaveLength(3);
    for (const input of seen) {
      expect(input).toMatchObject({ method: 'createJob', tries: 1 });
      expect(JSON.stringify(input)).not.toContain('hidden');
    }
    expect(Reflect.get({}, 'polluted')).toBeUndefined();
  });

  it.each([
    ['a cycle', 'const a = {}; a.a = a; await this.tasks.add({ method: "x", params: a });'],
    ['a BigInt', 'await this.tasks.add({ method: "x", params: { a: 1n } });'],
    ['no object', 'await this.tasks.add(5);'],
    ['a number where a text is due', 'await this.crypt.encryptString(5);'],
    ['an unknown status', 'await this.service.setProvisionStatus("hacked");'],
    ['another’s name in a uuid', 'await this.service.get("../other");'],
    ['half a million wrong tags', 'await this.tasks.add({ method: "x", tags: Array(4e5).fill(0) });'],
    [
      'a hundred thousand keys',
      'await this.tasks.add({ method: "x", params: Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [i, 0])) });',
    ],
    ['a text over its limit', 'await this.crypt.encryptString("x".repeat(2e6));'],
  ])('is refused before a broker sees it: %s', async (_what, body) => {
    let served = 0;
    const outcome = await call(moduleScript(`async run() { ${body} }`), 'run', [], {
      onCall: async () => {
        served++;
        return {};
      },
    });
    expect(['MODULE_ERROR', 'BAD_INPUT', 'LIMIT']).toContain(codeOf(outcome));
    expect(served).toBe(0);
  });
});

describe('what comes back from a call', () => {
  it.each([
    ['a key __proto__', { sealed: JSON.parse('{"__proto__":{"polluted":1}}') as unknown }],
    ['a then', { sealed: JSON.parse('{"then":"not a function"}') as unknown }],
    ['a deep list', { sealed: JSON.parse('['.repeat(500) + ']'.repeat(500)) as unknown }],
    ['half of a surrogate pair', { sealed: '\ud800' }],
  ])('is data also with %s', async (_what, answer) => {
    expect(
      await run('return [await this.crypt.encryptString("x"), ({}).polluted ?? null];', {
        onCall: async () => answer,
      }),
    ).toEqual([answer.sealed, null]);
  });

  it.each([
    [
      'a cycle',
      () => {
        const a: Record<string, unknown> = {};
        a['a'] = a;
        return a;
      },
    ],
    ['a BigInt', () => ({ sealed: 1n })],
    ['too much', () => ({ sealed: 'x'.repeat(5_000_000) })],
    [
      'a getter that throws',
      () => ({
        get sealed(): string {
          throw new Error('/etc/secret');
        },
      }),
    ],
  ])('and is an error, without a word of the host’s, if the broker gives %s', async (_what, give) => {
    const outcome = await call(
      moduleScript('async run() { return this.crypt.encryptString("x"); }'),
      'run',
      [],
      { onCall: async () => give() },
    );
    expect(['MODULE_ERROR', 'LIMIT']).toContain(codeOf(outcome));
    expect(JSON.stringify(outcome)).not.toContain('secret');
  });

  it('and tells nothing of an unexpected failure', async () => {
    const outcome = await call(
      moduleScript(
        'async run() { try { await this.crypt.encryptString("x"); } catch (e) { return [e.code, e.message, String(e.stack), e.cause ?? null, JSON.stringify(e)]; } }',
      ),
      'run',
      [],
      {
        onCall: async () => {
          throw new Error('connect ECONNREFUSED /var/run/secret.sock');
        },
      },
    );
    expect(JSON.stringify(outcome)).toContain('INTERNAL');
    expect(JSON.stringify(outcome)).not.toContain('secret');
  });
});
