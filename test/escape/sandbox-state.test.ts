/**
 * Nothing survives an invocation. Instead of a list of places, a walk: one invocation tries to leave a mark on everything that it can
 * reach, by properties and from within (maps, dates, buffers, expressions); the next one, in the same isolate, looks everywhere for it.
 */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';

const { call, value } = useSandbox();

/** Module code: all that a module can get hold of, as far as properties, accessors and prototypes lead. */
const WALK = `
const MARK = '__left_by_the_one_before';
function* reachable(roots) {
  const seen = new Set();
  const queue = roots.map((root) => ['root', root]);
  while (queue.length > 0) {
    const [path, value] = queue.pop();
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) continue;
    seen.add(value);
    yield [path, value];
    queue.push([path + '.__proto__', Object.getPrototypeOf(value)]);
    for (const key of Reflect.ownKeys(value)) {
      const name = path.length > 200 ? path : path + '.' + String(key);
      const descriptor = Object.getOwnPropertyDescriptor(value, key);
      queue.push([name, descriptor.value], [name + ':get', descriptor.get], [name + ':set', descriptor.set]);
      if (descriptor.get !== undefined && !name.startsWith('root.globalThis')) {
        try { queue.push([name, value[key]]); } catch {}
      }
    }
  }
}
async function roots(self) {
  const caught = [];
  const provoke = async (...attempts) => {
    for (const attempt of attempts) try { caught.push(await attempt()); } catch (error) { caught.push(error); }
  };
  await provoke(
    () => self.view('broken', { get x() { throw new Error('mine'); }, list: [{}] }),
    () => self.view('unparsable', {}),
    () => self.view('missing', {}),
    () => self.view('fine', { name: 'n' }),
    () => self.service.get(),
    () => self.crypt.encryptString('text'),
    () => self.db.selectFrom('x').selectAll().execute(),
    () => self.db.selectFrom('x'),
    () => self.db.selectFrom('x').selectAll().where('a', '=', 1).compile(),
    () => self.db.insertInto('x').values({ a: 1 }),
    () => self.db.schema.createTable('x').addColumn('a', 'text'),
    () => self.db.transaction(),
    () => self.db.fn,
    () => self.db.case(),
    () => sql\`select \${1}\`,
    () => bulkhead.model,
    () => v.parse(v.object({ a: v.pipe(v.string(), v.email()) }), { a: 'no' }),
    () => v.safeParse(v.object({ a: v.string() }), { a: 1 }),
    () => v.object({ a: v.pipe(v.string(), v.email(), v.uuid(), v.isoTimestamp()) }),
    () => self.validate(v.object({ a: v.string() }), {}),
    () => Object.values(rules),
    () => fetch('https://example.com/'),
    () => self.http.client({ baseURL: 'https://example.com' }),
    () => new URL('https://example.com/?a=1#b'),
    () => new URLSearchParams('a=1').entries(),
    () => new Headers({ a: '1' }).entries(),
    () => new Request('https://example.com/', { method: 'POST', body: 'x' }),
    () => new Response('x'),
    () => new FormData(),
    () => new TextEncoder().encode('x'),
    () => new TextDecoder(),
    () => new AbortController(),
    () => AbortSignal.timeout(100),
    () => new Event('x'),
    () => new EventTarget(),
    () => new DOMException('x'),
    () => crypto.subtle.importKey('raw', new Uint8Array(4), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']),
    () => crypto.subtle.digest('SHA-256', new Uint8Array(4)),
    () => structuredClone(new Map([[1, new Date()]])),
    () => atob('!'),
    () => bulkhead.json({}), () => bulkhead.redirect('x'), () => bulkhead.abort(403, 'x'),
    () => { (0, eval)('throw new Error("from eval")'); },
    () => (0, eval)('(function () { return arguments; })()'),
    () => (function* () {})(), () => (async function* () {})(), () => (async () => {})(),
    () => [].values(), () => [].values().map((x) => x), () => new Map().entries(), () => new Set().values(), () => ''[Symbol.iterator](),
    () => 'a'.matchAll(/a/g), () => Iterator.from({ next() { return { done: true }; } }), () => /a/d.exec('a'),
    () => new Intl.Segmenter('en').segment('a b'), () => new Intl.Segmenter('en').segment('a')[Symbol.iterator](),
    () => new Intl.DateTimeFormat('en'), () => new Intl.NumberFormat('en').formatToParts(1), () => new Intl.Collator().compare,
    () => new Intl.Locale('en'), () => Intl.DateTimeFormat('en').format,
    () => new DisposableStack(), () => new AsyncDisposableStack(), () => new Proxy({}, {}), () => Promise.withResolvers(),
    () => new (class extends Error {})('x'), () => new AggregateError([new Error('x')]), () => null.x, () => 'x'.repeat(-1),
    () => new Float16Array(1), () => new DataView(new ArrayBuffer(1)), () => new WeakMap(), () => Symbol.iterator.description,
    () => Object.groupBy([1], () => 'a'), () => Object.entries(globalThis).length,
    () => console, () => performance, () => crypto, () => fetch, () => setTimeout, () => require, () => secret, () => queueMicrotask,
  );
  const own = [];
  for (let at = self; at !== null; at = Object.getPrototypeOf(at))
    for (const key of Reflect.ownKeys(at)) try { own.push(self[key]); } catch {}
  const iterated = caught.flatMap((value) => { try { return [...value]; } catch { return []; } });
  return [globalThis, bulkhead, self, ...own, ...caught, ...iterated, ...Object.values(bulkhead), await import('x').catch((error) => error)];
}
`;

const MEMBERS = `
async leave() {
  let marked = 0; const everything = [];
  for (const entry of reachable(await roots(this))) everything.push(entry);
  for (const [, value] of everything) {
    try { Object.defineProperty(value, MARK, { value: 1 }); marked++; } catch {}
    try { Object.setPrototypeOf(value, { [MARK]: 1 }); } catch {}
    for (const leave of [
      () => Map.prototype.set.call(value, MARK, 1),
      () => Set.prototype.add.call(value, MARK),
      () => WeakMap.prototype.set.call(value, Array, MARK),
      () => WeakSet.prototype.add.call(value, Array),
      () => Date.prototype.setTime.call(value, 4242),
      () => { value.lastIndex = 4242; },
      () => RegExp.prototype.compile.call(value, MARK),
      () => new Uint8Array(value).fill(42),
      () => Uint8Array.prototype.fill.call(value, 42),
      () => Array.prototype.push.call(value, MARK),
    ]) try { leave(); } catch {}
  }
  return { reached: everything.length, marked };
}
async find() {
  const found = []; let reached = 0;
  for (const [path, value] of reachable(await roots(this))) {
    reached++;
    const tests = [
      () => Object.hasOwn(value, MARK),
      () => Object.hasOwn(Object.getPrototypeOf(value), MARK) && Object.getPrototypeOf(Object.getPrototypeOf(value)) === Object.prototype,
      () => Map.prototype.has.call(value, MARK),
      () => Set.prototype.has.call(value, MARK),
      () => WeakMap.prototype.has.call(value, Array),
      () => WeakSet.prototype.has.call(value, Array),
      () => Date.prototype.getTime.call(value) === 4242,
      () => value.lastIndex === 4242,
      () => value instanceof RegExp && value.source === MARK,
      () => ArrayBuffer.isView(value) && value.byteLength > 0 && new Uint8Array(value.buffer)[0] === 42,
      () => Array.isArray(value) && value.includes(MARK),
    ];
    for (const [index, test] of tests.entries()) try { if (test()) found.push(index + ' ' + path); } catch {}
  }
  return { reached, found: found.slice(0, 50) };
}
/** Shared objects are closed; what is open belongs to this invocation. A closed one with a property that can be written is neither. */
async halfClosed() {
  const found = [];
  for (const [path, value] of reachable(await roots(this))) {
    if (Object.isExtensible(value) || ArrayBuffer.isView(value)) continue;
    for (const key of Reflect.ownKeys(value)) {
      const descriptor = Object.getOwnPropertyDescriptor(value, key);
      if (descriptor.configurable || descriptor.writable === true) found.push(path + '.' + String(key));
    }
  }
  return found.slice(0, 50);
}
async stateful() {
  const found = [];
  const shared = [globalThis, bulkhead];
  for (const [path, value] of reachable(shared)) {
    if (value instanceof Map || value instanceof Set || value instanceof WeakMap || value instanceof WeakSet || value instanceof Date || value instanceof Promise || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
      if (!path.endsWith('.prototype') && Object.getPrototypeOf(value) !== Object.prototype) found.push(path);
    }
  }
  return found;
}
`;

const views = {
  'broken.liquid': '{% assign kept = "left" %}{{ x }}{% for i in list %}{{ i.a | nothing }}{% endfor %}',
  'unparsable.liquid': '{% for x',
  'fine.liquid':
    '{% assign kept = "left" %}{{ name }}{% include "part" %}{% increment counter %}{% cycle "a", "b" %}',
  'part.liquid': '{{ kept }}',
};
const script = moduleScript(MEMBERS, WALK);
const how = { views, key: 'walker', entryMs: 5_000, cpuHardMs: 10_000 };

describe('what an invocation can reach', () => {
  it('keeps nothing of what it tried to leave on anything', async () => {
    const left = (await value(script, 'leave', [], how)) as { reached: number; marked: number };
    expect(left.reached).toBeGreaterThan(1_500);
    // Its own objects take the mark: the walk does try.
    expect(left.marked).toBeGreaterThan(100);
    const next = (await value(script, 'find', [], how)) as { reached: number; found: string[] };
    expect(next.reached).toBeGreaterThan(1_500);
    expect(next.found).toEqual([]);
  });

  it('is either its own or closed in all its properties', async () => {
    expect(await value(script, 'halfClosed', [], how)).toEqual([]);
  });

  it('holds no shared map, set, date, promise or buffer', async () => {
    expect(await value(script, 'stateful', [], how)).toEqual([]);
  });
});

describe('a value that one invocation makes is not seen by the next', () => {
  it.each([
    [
      'a RegExp of the runtime, changed from within',
      "const r = v.EMAIL_REGEX; try { r.compile('left'); } catch {} return String(r.source === 'left');",
    ],
    ['an assign in a template', "return this.view('state');"],
    [
      'a token of a template’s error',
      "try { this.view('error', {}); } catch (e) { const t = e.token ?? e; const was = String(t.left ?? 'nothing'); try { t.left = 'left'; } catch {} return was; }",
    ],
    [
      'the last match of a RegExp',
      "const was = String(RegExp['$1'] || RegExp.lastMatch || 'nothing'); /(left)/.exec('left'); return was;",
    ],
    [
      'a template object’s identity',
      'const tag = (s) => s; const strings = tag`x`; const was = String(globalThis.__t ?? "nothing"); try { globalThis.__t = strings; } catch {} return was;',
    ],
    [
      'a registered symbol',
      "const s = Symbol.for('left'); try { s.description = 'left'; } catch {} return String(s.left ?? 'nothing');",
    ],
    [
      'a prepared stack',
      "try { Error.prepareStackTrace = () => 'left'; } catch {} return String(new Error('x').stack).includes('left') ? 'left' : 'nothing';",
    ],
    [
      'the stack’s length',
      'const was = Error.stackTraceLimit; try { Error.stackTraceLimit = 1; } catch {} return String(was);',
    ],
    [
      'the namespace of imports',
      "const was = String(bulkhead.left ?? 'nothing'); try { bulkhead.left = 'left'; } catch {} try { bulkhead.Product.left = 'left'; } catch {} return was + String(bulkhead.Product.left ?? '');",
    ],
    [
      'module.exports',
      "const was = String(module.exports.left ?? 'nothing'); module.exports.left = 'left'; return was;",
    ],
    ['randomness', 'return String(crypto.getRandomValues(new Uint8Array(4)));'],
    ['numbers of timers', 'const id = setTimeout(() => {}, 1000); clearTimeout(id); return String(id);'],
  ])('%s', async (_what, body) => {
    const state = moduleScript(`run() { ${body} }`);
    const options = {
      views: {
        'state.liquid': '{{ left }}{% assign left = "left" %}{% increment n %}{% cycle "a", "b" %}',
        'error.liquid': '{{ a | nofilter: b.c }}{% render "none" %}',
      },
    };
    const outcomes = [];
    for (let round = 0; round < 3; round++) outcomes.push(await value(state, 'run', [], options));
    expect(outcomes[1]).toBe(outcomes[0]);
    expect(outcomes[2]).toBe(outcomes[0]);
  });

  it('not even while both are open', async () => {
    const script = moduleScript(
      'async write(x) { cell.value = x; this.mine = x; await new Promise((resolve) => setTimeout(resolve, 50)); return [cell.value, this.mine]; }',
      'const cell = {};',
    );
    const [first, second] = await Promise.all(['a', 'b'].map(async (x) => value(script, 'write', [x])));
    expect([first, second]).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ]);
  });

  it('nor does a call by one get the answer of another', async () => {
    const script = moduleScript(
      'async ask(x) { const got = []; for (let i = 0; i < 20; i++) got.push(await this.crypt.encryptString(x)); return [...new Set(got)]; }',
    );
    const echo = async (_path: string, input: unknown) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5));
      return { sealed: (input as { text: string }).text };
    };
    const names = ['a', 'b', 'c', 'd'];
    const got = await Promise.all(names.map(async (x) => value(script, 'ask', [x], { onCall: echo })));
    expect(got).toEqual(names.map((x) => [x]));
    expect((await call(script, 'ask', ['e'], { onCall: echo })).usage.calls).toBe(20);
  });
});
