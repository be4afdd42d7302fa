/**
 * Where module code finds itself: one realm with ECMAScript, the runtime's own classes, and nothing else. No object of isolated-vm or of
 * Node, no way out of the function it stands in, no second copy of itself by import, and no name that leads to the runtime.
 */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { codeOf } from './sandbox-support.ts';

const { call, value } = useSandbox();

const run = async (body: string): Promise<unknown> => value(moduleScript(`async run() { ${body} }`), 'run');

describe('the global object', () => {
  it('has what the language has, less what breaks the limits, and nothing of ours', async () => {
    expect(await run('return Object.getOwnPropertyNames(globalThis).sort();')).toEqual([
      'AggregateError',
      'Array',
      'ArrayBuffer',
      'AsyncDisposableStack',
      'BigInt',
      'BigInt64Array',
      'BigUint64Array',
      'Boolean',
      'DataView',
      'Date',
      'DisposableStack',
      'Error',
      'EvalError',
      'Float16Array',
      'Float32Array',
      'Float64Array',
      'Function',
      'Infinity',
      'Int16Array',
      'Int32Array',
      'Int8Array',
      'Intl',
      'Iterator',
      'JSON',
      'Map',
      'Math',
      'NaN',
      'Number',
      'Object',
      'Promise',
      'Proxy',
      'RangeError',
      'ReferenceError',
      'Reflect',
      'RegExp',
      'Set',
      'String',
      'SuppressedError',
      'Symbol',
      'SyntaxError',
      'TypeError',
      'URIError',
      'Uint16Array',
      'Uint32Array',
      'Uint8Array',
      'Uint8ClampedArray',
      'WeakMap',
      'WeakSet',
      'decodeURI',
      'decodeURIComponent',
      'encodeURI',
      'encodeURIComponent',
      'eval',
      'globalThis',
      'isFinite',
      'isNaN',
      'parseFloat',
      'parseInt',
      'undefined',
    ]);
  });

  it('takes nothing new, also not by a hoisted name or in sloppy code', async () => {
    const attempts = [
      'globalThis.x = 1;',
      "(0, eval)('var x = 1');",
      "(0, eval)('function x() {}');",
      "new Function('x = 1')();",
      "new Function('this.x = 1')();",
      "Object.defineProperty(globalThis, 'x', { value: 1 });",
      'Reflect.set(globalThis, "x", 1);',
      'Object.setPrototypeOf(globalThis, { x: 1 });',
      'globalThis.__proto__.x = 1;',
      'Object.prototype.x = 1;',
    ];
    expect(
      await run(
        `for (const attempt of ${JSON.stringify(attempts)}) try { (0, eval)(attempt); } catch {} return typeof x + ' ' + typeof ({}).x;`,
      ),
    ).toBe('undefined undefined');
  });

  it.each([
    'process',
    'require',
    'Buffer',
    'global',
    'module',
    '__dirname',
    'ivm',
    'isolate',
    'Reference',
    '$262',
    'd8',
    'print',
    'load',
    'read',
    'gc',
    'WebAssembly',
    'SharedArrayBuffer',
    'Atomics',
    '__bulkhead',
    'enter',
    'collect',
    'outbox',
    'invocations',
  ])('does not lead to %s', async (name) => {
    expect(await run(`return (0, eval)('typeof ${name}') + ' ' + ('${name}' in globalThis);`)).toBe(
      'undefined false',
    );
  });
});

describe('a chain of constructors', () => {
  it.each([
    'this.constructor.constructor',
    'bulkhead.constructor.constructor',
    'require.constructor',
    'secret.constructor',
    'module.constructor.constructor',
    'fetch.constructor',
    'console.log.constructor',
    'setTimeout.constructor',
    'crypto.subtle.digest.constructor',
    'this.db.constructor.constructor',
    'this.tenant.constructor.constructor',
    '(async () => {}).constructor',
    '(function* () {}).constructor',
    '(async function* () {}).constructor',
    '[].values().constructor.constructor',
    'new Error().constructor.constructor',
    '(await this.service.get()).constructor.constructor',
  ])('ends in this realm: %s', async (chain) => {
    const body = `const made = (${chain})("return [this === undefined || this === globalThis, typeof process, typeof require, Array === globalThis.Array]")();
      const got = await (typeof made?.next === 'function' ? made.next() : made);
      const [thisIsOurs, ...rest] = Array.isArray(got) ? got : got.value;
      return [thisIsOurs, new (class extends Array {})() instanceof Array, ...rest];`;
    expect(await run(body)).toEqual([true, true, 'undefined', 'undefined', true]);
  });
});

describe('the text of a module', () => {
  it.each([
    ['closes its function', '}); globalThis.escaped = 1; (function () {'],
    ['closes its function after a return', 'return; } globalThis.escaped = 1; {'],
    ['closes its parameters', ') { globalThis.escaped = 1; } function x('],
    ['opens a comment', '/* '],
    ['opens a template', '` '],
    ['opens a text', "'"],
    ['opens an expression', 'const x = ('],
    ['ends in a line comment', 'throw 1; // '],
    ['ends in a backslash', 'const x = 1; \\'],
    ['uses an import', "import fs from 'node:fs';"],
    ['uses an export', 'export default class {}'],
    ['uses import.meta', 'const x = import.meta.url;'],
    ['awaits at the top', 'await 1;'],
    ['uses with', 'with ({}) {}'],
    ['uses an octal', 'const x = 010;'],
    ['deletes a name', 'var x; delete x;'],
    ['is half of a surrogate pair', '\ud800'],
    ['is only a NUL', '\0'],
  ])('that %s does not run', async (_what, script) => {
    const outcome = await call(script, 'run', [], { group: 'texts' });
    expect(['LOAD_FAILED', 'MODULE_ERROR']).toContain(codeOf(outcome));
    expect(await value(moduleScript('run() { return typeof escaped; }'), 'run', [], { group: 'texts' })).toBe(
      'undefined',
    );
  });

  it.each([
    ['a line comment at its end', `${moduleScript('run() { return 1; }')} // no line after this`],
    [
      'an HTML-like comment',
      `<!-- a comment of old\n${moduleScript('run() { return 1; }')}\n--> and its end`,
    ],
    ['a name for itself', `${moduleScript('run() { return 1; }')}\n//# sourceURL=bulkhead:guest`],
    ['a directive', `"use sloppy";\n${moduleScript('run() { return 1; }')}`],
    ['line separators', `\u2028${moduleScript('run() { return 1; }')}\u2029`],
    ['a hashbang of sorts', `// #!/usr/bin/env node\n${moduleScript('run() { return 1; }')}`],
  ])('may hold %s', async (_what, script) => {
    expect(await value(script, 'run', [], { group: 'texts' })).toBe(1);
  });

  it('is strict whatever it says', async () => {
    // Not in a class, where everything is.
    const script = moduleScript(
      'run() { return strict; }',
      'const strict = (function () { return this === undefined; })();',
    );
    expect(await value(script, 'run')).toBe(true);
  });

  it('is named by the host in stacks, not by itself', async () => {
    const script = `${moduleScript('run() { return new Error("x").stack; }')}\n//# sourceURL=node:internal/fs`;
    expect(await value(script, 'run')).toContain('Product/Probe/module.js');
  });
});

describe('a second way in', () => {
  it.each([
    ['import()', "return import('node:fs').then(() => 'in', () => 'out');"],
    [
      'import() of data',
      "return import('data:text/javascript,export default 1').then(() => 'in', () => 'out');",
    ],
    ['import() in eval', "return (0, eval)(\"import('node:fs')\").then(() => 'in', () => 'out');"],
    [
      'import() in a function from a text',
      "return new Function(\"return import('node:fs')\")().then(() => 'in', () => 'out');",
    ],
    ['require of Node', "try { require('node:fs'); return 'in'; } catch { return 'out'; }"],
    ['require of a path', "try { require('./module.js'); return 'in'; } catch { return 'out'; }"],
    ['require of Object.prototype', "try { require('constructor'); return 'in'; } catch { return 'out'; }"],
    [
      'require of something that becomes another name',
      "let n = 0; try { require({ toString: () => (n++ ? 'bulkhead' : 'x') }); return 'in'; } catch { return 'out'; }",
    ],
    [
      'a realm of its own',
      "return typeof ShadowRealm === 'undefined' && typeof Realm === 'undefined' ? 'out' : 'in';",
    ],
    [
      'a worker',
      "return typeof Worker === 'undefined' && typeof SharedWorker === 'undefined' ? 'out' : 'in';",
    ],
  ])('is not there: %s', async (_what, body) => {
    expect(await run(body)).toBe('out');
  });

  it('nor does a script that was imported crash anything', async () => {
    for (let round = 0; round < 20; round++)
      expect(
        await run(
          "await Promise.allSettled(Array.from({ length: 50 }, () => import('x' + Math.random()))); return 1;",
        ),
      ).toBe(1);
  });
});

describe('what was not granted', () => {
  it('is absent, and cannot be had by another’s name', async () => {
    const script = moduleScript(`async run() {
      const Base = Object.getPrototypeOf(Object.getPrototypeOf(Object.getPrototypeOf(this)));
      const got = [];
      for (let at = this; at !== null; at = Object.getPrototypeOf(at))
        for (const key of ['db', 'tasks', 'http']) {
          const getter = Object.getOwnPropertyDescriptor(at, key)?.get;
          if (getter !== undefined) got.push(typeof getter.call(this));
          try { if (getter !== undefined) getter.call({}); got.push('another'); } catch { got.push('refused'); }
        }
      return got.filter((one) => one === 'object' || one === 'function');
    }`);
    expect(await value(script, 'run', [], { context: { capabilities: [] } })).toEqual([]);
  });

  it('does not come with an environment of one’s own making, which nobody takes', async () => {
    const script = moduleScript(`run() {
      const seen = [];
      let asked = 0;
      const context = { capabilities: ['db', 'crypt'], module: {}, tenant: {}, auth: null };
      const runtime = { env: { context, call: async () => { asked++; return { sealed: 'mine' }; } } };
      for (const Class of [bulkhead.Product, bulkhead.Module, bulkhead.Plugin, bulkhead.Controller]) {
        const own = new (class extends Class { constructor() { super(runtime); } })();
        const plain = new (Object.getPrototypeOf(Class))(runtime);
        seen.push(typeof own.db, typeof plain.db, own.module_type);
        plain.crypt.encryptString('x').catch(() => undefined);
      }
      return [...new Set(seen), asked];
    }`);
    expect(await value(script, 'run', [], { context: { capabilities: [] } })).toEqual([
      'undefined',
      'Product',
      0,
    ]);
  });
});
