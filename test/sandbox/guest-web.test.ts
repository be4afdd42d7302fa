import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { bareIsolate, bundleGuest } from './guest-web-support.ts';
import type { BareIsolate } from './guest-web-support.ts';

const SIZE_LIMIT = 60 * 1024;
const NAMES = [
  'AbortController',
  'AbortSignal',
  'Headers',
  'Request',
  'Response',
  'TextDecoder',
  'TextEncoder',
  'URL',
  'URLSearchParams',
  'atob',
  'btoa',
  'clearInterval',
  'clearTimeout',
  'console',
  'crypto',
  'fetch',
  'performance',
  'queueMicrotask',
  'setInterval',
  'setTimeout',
  'structuredClone',
];

let script = '';
let isolate: BareIsolate | undefined;

beforeAll(async () => {
  script = await bundleGuest(`
    export { createWebGlobals } from './sandbox/guest/web/globals.ts';
    export { createHttp } from './sandbox/guest/http.ts';
    export { md5 } from './sandbox/guest/web/crypto.ts';
  `);
  isolate = await bareIsolate(script);
});
afterAll(async () => isolate?.[Symbol.asyncDispose]());

/** Runs with all globals destructured, as a module sees them. */
async function run(body: string): Promise<unknown> {
  return isolate?.run(`
    const { ${[...NAMES, 'FormData', 'DOMException', 'Event', 'EventTarget'].join(', ')} } = guest.createWebGlobals(env);
    calls.length = 0;
    ${body}
  `);
}

describe('web standards in a bare isolate', () => {
  it('need nothing of the platform, and there is nothing', async () => {
    expect(
      await isolate?.run(
        'return Object.getOwnPropertyNames(globalThis).filter((name) => /^(URL|fetch|setTimeout|crypto|process|Buffer|TextEncoder|structuredClone|queueMicrotask)$/.test(name))',
      ),
    ).toEqual([]);
    expect(await isolate?.run(`return Object.keys(guest.createWebGlobals(env))`)).toEqual(
      expect.arrayContaining(NAMES),
    );
  });

  it('stay small', () => {
    expect(Buffer.byteLength(script)).toBeLessThan(SIZE_LIMIT);
  });

  it('are cheap to make for an invocation: nothing is computed or called before it is used', async () => {
    expect(
      await isolate?.run(`
      const touched = [];
      const watched = new Proxy({}, { get: (_, key) => { touched.push(String(key)); return () => 0; } });
      guest.createWebGlobals(watched);
      return touched;
    `),
    ).toEqual([]);
  });

  it('share no state between two invocations but frozen or stateless classes', async () => {
    expect(
      await isolate?.run(`
      const [a, b] = [guest.createWebGlobals(env), guest.createWebGlobals(env)];
      return Object.keys(a).filter((name) => a[name] === b[name]);
    `),
    ).toEqual([
      'URL',
      'URLSearchParams',
      'TextEncoder',
      'TextDecoder',
      'Headers',
      'Request',
      'Response',
      'FormData',
      'DOMException',
      'Event',
      'EventTarget',
      'structuredClone',
      'atob',
      'btoa',
    ]);
  });
});

describe('crypto', () => {
  it('digests and signs as Node does', async () => {
    const data = 'żółw';
    const { createHash, createHmac } = await import('node:crypto');
    const result = await run(`
      const hex = (buffer) => [...new Uint8Array(buffer)].map((b) => b.toString(16).padStart(2, '0')).join('');
      const data = new TextEncoder().encode(${JSON.stringify(data)});
      const digests = [];
      for (const name of ['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512']) digests.push(hex(await crypto.subtle.digest(name, data)));
      const key = await crypto.subtle.importKey('raw', new TextEncoder().encode('key'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
      const mac = await crypto.subtle.sign('HMAC', key, data);
      const other = new Uint8Array(mac); const wrong = other.slice(); wrong[0] ^= 1;
      return {
        digests, mac: hex(mac), md5: guest.md5(${JSON.stringify(data)}),
        verify: [await crypto.subtle.verify('HMAC', key, mac, data), await crypto.subtle.verify('HMAC', key, wrong, data), await crypto.subtle.verify('HMAC', key, other.slice(1), data)],
        keyText: JSON.stringify(key),
      };
    `);
    expect(result).toEqual({
      digests: ['sha1', 'sha256', 'sha384', 'sha512'].map((name) =>
        createHash(name).update(data).digest('hex'),
      ),
      mac: createHmac('sha256', 'key').update(data).digest('hex'),
      md5: createHash('md5').update(data).digest('hex'),
      verify: [true, false, false],
      keyText: expect.not.stringContaining('107'),
    });
  });

  it('refuses a key for what it is not for, and unknown algorithms', async () => {
    expect(
      await run(`
      const key = await crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
      const name = (work) => work.then(() => 'done', (error) => error.name);
      return [await name(crypto.subtle.sign('HMAC', key, new Uint8Array(1))), await name(crypto.subtle.digest('MD5', new Uint8Array(1))), await name(crypto.subtle.importKey('raw', new Uint8Array(1), { name: 'AES-GCM' }, false, []))];
    `),
    ).toEqual(['InvalidAccessError', 'NotSupportedError', 'NotSupportedError']);
  });

  it('draws the same from the same seed, other bytes each time, and fails without a seed', async () => {
    const draw = `const draw = (seed, size) => [...guest.createWebGlobals({ ...env, context: { seed } }).crypto.getRandomValues(new Uint8Array(size))].join();`;
    expect(
      await run(`${draw}
      const seed = env.context.seed;
      const one = guest.createWebGlobals(env).crypto;
      const parts = [...one.getRandomValues(new Uint8Array(7)), ...one.getRandomValues(new Uint8Array(93))].join();
      let failed = ''; try { draw('', 1); } catch (error) { failed = error.message; }
      return {
        same: draw(seed, 100) === parts,
        other: draw(seed.replace('A', 'B'), 100) === parts,
        repeats: new Set(Array.from({ length: 1000 }, () => crypto.randomUUID())).size,
        uuid: crypto.randomUUID(),
        failed,
      };
    `),
    ).toEqual({
      same: true,
      other: false,
      repeats: 1000,
      failed: 'this invocation has no seed',
      uuid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
    });
  });

  it('spreads its bytes evenly over a wide array, and refuses too many or floats', async () => {
    expect(
      await run(`
      const counts = new Array(256).fill(0);
      for (const value of crypto.getRandomValues(new Uint8Array(65536))) counts[value]++;
      const name = (work) => { try { work(); return 'done'; } catch (error) { return error.name; } };
      return { low: Math.min(...counts) > 150, high: Math.max(...counts) < 370, words: crypto.getRandomValues(new Uint32Array(4)).length,
        many: name(() => crypto.getRandomValues(new Uint8Array(65537))), float: name(() => crypto.getRandomValues(new Float64Array(1))) };
    `),
    ).toEqual({ low: true, high: true, words: 4, many: 'QuotaExceededError', float: 'TypeMismatchError' });
  });
});

describe('timers', () => {
  it('pass their arguments, repeat, and stop when cleared', async () => {
    expect(
      await run(`
      const seen = [];
      await new Promise((resolve) => setTimeout((a, b) => { seen.push(a + b); resolve(); }, 5, 1, 2));
      const gone = setTimeout(() => seen.push('never'), 0); clearTimeout(gone); clearTimeout(undefined); clearTimeout(999);
      await new Promise((resolve) => { let rounds = 0; const id = setInterval(() => { seen.push('tick'); if (++rounds === 3) { clearInterval(id); resolve(); } }, 1); });
      await new Promise((resolve) => queueMicrotask(resolve));
      for (let i = 0; i < 20; i++) await 0;
      let message = ''; try { setTimeout('code'); } catch (error) { message = error.name; }
      return { seen, message };
    `),
    ).toEqual({ seen: [3, 'tick', 'tick', 'tick'], message: 'TypeError' });
  });
});

describe('AbortController', () => {
  it('aborts once, tells listeners, follows others, and times out', async () => {
    expect(
      await run(`
      const controller = new AbortController(); const seen = [];
      controller.signal.addEventListener('abort', (event) => seen.push(event.type, event.target === controller.signal));
      controller.signal.onabort = () => seen.push('on');
      const removed = () => seen.push('removed'); controller.signal.addEventListener('abort', removed); controller.signal.removeEventListener('abort', removed);
      const any = AbortSignal.any([new AbortController().signal, controller.signal]);
      controller.abort(); controller.abort('again');
      const timeout = AbortSignal.timeout(5); await new Promise((resolve) => timeout.addEventListener('abort', resolve));
      let thrown = ''; try { timeout.throwIfAborted(); } catch (error) { thrown = error.name; }
      return { seen, reason: controller.signal.reason.name, code: controller.signal.reason.code, any: any.aborted, thrown, given: AbortSignal.abort('why').reason,
        kind: [controller.signal instanceof AbortSignal, timeout instanceof EventTarget, controller.signal.reason instanceof DOMException, controller.signal.reason instanceof Error] };
    `),
    ).toEqual({
      seen: ['on', 'abort', true],
      reason: 'AbortError',
      code: 20,
      any: true,
      thrown: 'TimeoutError',
      given: 'why',
      kind: [true, true, true, true],
    });
  });
});

describe('structuredClone', () => {
  it('copies plain data deeply, with cycles and shared parts', async () => {
    expect(
      await run(`
      const shared = { x: 1 };
      const value = { date: new Date(5), map: new Map([[shared, new Set([1, 'a'])]]), list: [1, , shared], bytes: new Uint8Array([1, 2, 3]).subarray(1), re: /a/gi, big: 10n, none: undefined, error: new RangeError('r') };
      value.self = value; Object.defineProperty(value, '__proto__', { value: 7, enumerable: true });
      const copy = structuredClone(value);
      shared.x = 2; value.bytes[0] = 9;
      return [copy !== value, copy.self === copy, copy.date.getTime(), [...copy.map.keys()][0] === copy.list[2], copy.list[2].x, [...copy.map.values()][0].has('a'), 1 in copy.list, copy.list.length, [...copy.bytes], String(copy.re), copy.big === 10n, 'none' in copy, copy.error instanceof RangeError, Object.getPrototypeOf(copy) === Object.prototype, Object.getOwnPropertyDescriptor(copy, '__proto__').value];
    `),
    ).toEqual([true, true, 5, true, 1, true, false, 3, [2, 3], '/a/gi', true, true, true, true, 7]);
  });

  it('refuses what a copy would lose', async () => {
    expect(
      await run(`
      const name = (value) => { try { structuredClone(value); return 'copied'; } catch (error) { return error.name; } };
      return [name(() => 1), name({ f() {} }), name(Symbol('s')), name(new WeakMap()), name(Promise.resolve())];
    `),
    ).toEqual(Array.from({ length: 5 }, () => 'DataCloneError'));
  });
});

describe('Response and Request', () => {
  it('read their body once, as text, JSON, bytes or form', async () => {
    expect(
      await run(`
      const response = new Response('{"a":"ż"}', { status: 201, headers: { 'X-A': '1' } });
      const copy = response.clone();
      const twice = await response.json().then(() => response.text()).catch((error) => error.name);
      const form = await new Response(new URLSearchParams({ a: '1 2' })).formData();
      return { json: await copy.json(), twice, used: response.bodyUsed, ok: copy.ok, type: new Response('x').headers.get('content-type'),
        bytes: [...await new Response(new Uint8Array([0, 255])).bytes()], size: (await new Response('ż').arrayBuffer()).byteLength, form: form.get('a'),
        made: [await Response.json({ b: 1 }, { status: 422 }).text(), Response.json({}).headers.get('content-type'), Response.redirect('https://x.test/', 303).headers.get('location'), Response.error().type],
        empty: await new Response(null, { status: 204 }).text() };
    `),
    ).toEqual({
      json: { a: 'ż' },
      twice: 'TypeError',
      used: true,
      ok: true,
      type: 'text/plain;charset=UTF-8',
      bytes: [0, 255],
      size: 2,
      form: '1 2',
      made: ['{"b":1}', 'application/json', 'https://x.test/', 'error'],
      empty: '',
    });
  });

  it('normalise methods and refuse a body in a GET', async () => {
    expect(
      await run(`
      const name = (work) => { try { work(); return 'made'; } catch (error) { return error.name; } };
      const request = new Request('https://x.test/a b', { method: 'post', body: 'x', headers: [['A', '1']] });
      const next = new Request(request, { headers: { B: '2' } });
      return [request.method, request.url, await next.text(), [...next.headers.keys()], name(() => new Request('https://x.test', { body: 'x' })), name(() => new Request('/relative')), name(() => new Headers({ 'a b': '1' })), name(() => new Headers({ a: '1\\r\\nb: 2' })), name(() => new Response('x', { status: 204 }))];
    `),
    ).toEqual([
      'POST',
      'https://x.test/a%20b',
      'x',
      ['b', 'content-type'],
      'TypeError',
      'TypeError',
      'TypeError',
      'TypeError',
      'TypeError',
    ]);
  });

  it('keep several cookies apart and join other headers', async () => {
    expect(
      await run(`
      const headers = new Headers([['Set-Cookie', 'a=1'], ['set-cookie', 'b=2'], ['X', '1'], ['x', '2']]); headers.delete('none');
      return [[...headers], headers.getSetCookie(), headers.get('nothing'), headers.has('X')];
    `),
    ).toEqual([
      [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x', '1, 2'],
      ],
      ['a=1', 'b=2'],
      null,
      true,
    ]);
  });
});

describe('console', () => {
  it('writes lines to the log by level, long ones with their detail', async () => {
    expect(
      await run(`
      console.log('a', 1, { b: [2] }, null); console.warn(new TypeError('t')); console.debug(); console.assert(true, 'x'); console.assert(false, 'y');
      const cycle = {}; cycle.self = cycle; console.error('first\\nsecond', cycle);
      return calls;
    `),
    ).toEqual([
      ['logs', 'write', { level: 'info', action: 'a 1 {"b":[2]} null' }],
      ['logs', 'write', { level: 'warning', action: 'TypeError: t' }],
      ['logs', 'write', { level: 'debug', action: '' }],
      ['logs', 'write', { level: 'error', action: 'Assertion failed: y' }],
      ['logs', 'write', { level: 'error', action: 'first', request: 'first\nsecond [not shown]' }],
    ]);
  });
});
