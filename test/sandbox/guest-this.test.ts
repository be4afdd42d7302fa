/** Helpers of `this` and of 'bulkhead' that the guide's modules use, in the real sandbox: no database, no tenant. */
import { describe, expect, it } from 'vitest';
import { moduleScript, useSandbox } from '../support/sandbox.ts';

const { value } = useSandbox();

/** Runs a method's body and gives what it returned. */
async function run(body: string): Promise<unknown> {
  return value(moduleScript(`async go() { ${body} }`), 'go');
}

describe('instants', () => {
  it('now() is a Date that can be counted on from, and says itself as the guide does (A30) [HF-06]', async () => {
    expect(
      await run(`
        const now = this.now();
        const later = now.addDays(7);
        return [
          now instanceof Date, later - now, now.addHours(1) - now, now.addMinutes(2).addSeconds(3) - now, now.subDays(1) - now,
          new now.constructor(0).addDays(31).toDateTimeString(), new now.constructor(0).toDateString(),
          JSON.stringify(new now.constructor(0)), now.toISOString().length, bulkhead.now() >= now,
        ]`),
    ).toEqual([
      true,
      7 * 86_400_000,
      3_600_000,
      123_000,
      -86_400_000,
      '1970-02-01 00:00:00',
      '1970-01-01',
      '"1970-01-01T00:00:00.000Z"',
      24,
      true,
    ]);
  });

  it('adding leaves the instant it was added to as it is', async () => {
    expect(
      await run(
        'const now = this.now(); const kept = now.getTime(); now.addDays(3); return now.getTime() - kept;',
      ),
    ).toBe(0);
  });
});

describe('numbers and texts', () => {
  it('randomInt takes both bounds in and refuses what is no range (A30) [HF-05]', async () => {
    expect(
      await run(`
        const drawn = new Set(Array.from({ length: 200 }, () => this.randomInt(1, 3)));
        const refused = [[3, 1], [0.5, 2], [0, 2 ** 33]].map((pair) => { try { bulkhead.randomInt(...pair); return 'drawn'; } catch (e) { return e.name; } });
        return [[...drawn].sort(), bulkhead.randomInt(7, 7), refused]`),
    ).toEqual([[1, 2, 3], 7, ['RangeError', 'RangeError', 'RangeError']]);
  });

  it('generateStrongPassword has all three kinds of characters, and is another each time', async () => {
    expect(
      await run(`
        const all = Array.from({ length: 20 }, (_, i) => i % 2 ? this.generateStrongPassword(10) : bulkhead.generateStrongPassword(10));
        return [all.every((p) => /^(?=.*[a-z])(?=.*[A-Z])(?=.*\\d).{10}$/.test(p)), new Set(all).size]`),
    ).toEqual([true, 20]);
  });

  it('md5, stripTags, escapeHtml and versionCompare answer as PHP does (A30 A06) [HF-11 BM-16]', async () => {
    expect(
      await run(`const { md5, stripTags, escapeHtml, versionCompare } = bulkhead; return [
        md5('abc'), md5('zażółć'), stripTags('<b>a</b> & <script>x</script>b'), escapeHtml('<a href="x">\\'&</a>'),
        versionCompare('1.2.0', '1.10.0', '<'), versionCompare('2.0.0', '2.0.0', '>='),
      ]`),
    ).toEqual([
      '900150983cd24fb0d6963f7d28e17f72',
      '884c73f2b5319ab2bbda84aacb14ec68',
      'a & xb',
      '&lt;a href=&quot;x&quot;&gt;&#39;&amp;&lt;/a&gt;',
      true,
      true,
    ]);
  });
});

describe('errors', () => {
  it('validated() throws a ValidationError with the errors by field (A38)', async () => {
    expect(
      await run(`
        const schema = v.object({ domain: rules.domain(), disk: rules.diskSpace() });
        const good = this.validated(schema, { domain: ' example.com ', disk: '5' });
        try { this.validated(schema, { domain: 'x y', disk: 0 }); } catch (error) {
          return [good, error instanceof bulkhead.ValidationError, error.name, Object.keys(error.errors), error.errors.disk];
        }`),
    ).toEqual([
      { domain: 'example.com', disk: 5 },
      true,
      'ValidationError',
      ['domain', 'disk'],
      ['At least 1.'],
    ]);
  });
});

describe('helpers that name a module', () => {
  it('view_admin_module renders this module’s own view, with the merged data behind the given (A37) [HF-01 GAP-11]', async () => {
    expect(
      await value(
        moduleScript(
          `go() { return bulkhead.view_admin_module('Product', 'Probe', 'admin_area.hello', { name: '<Ann>' }, { name: 'x', who: 'all' }); }`,
        ),
        'go',
        [],
        { views: { 'admin_area/hello.liquid': 'Hello {{ name }} and {{ who }}' } },
      ),
    ).toBe('Hello &lt;Ann&gt; and all');
  });

  it.each([`'Product', 'Other'`, `'Plugin', 'Probe'`])(
    'view_admin_module and logModule refuse %s (A37) [HF-01 HF-03]',
    async (named) => {
      const notices: string[] = [];
      expect(
        await value(
          moduleScript(`go() {
            const attempt = (fn) => { try { fn(); return 'done'; } catch (error) { return error.name + ' ' + error.code; } };
            return [
              attempt(() => bulkhead.view_admin_module(${named}, 'admin_area.hello')),
              attempt(() => bulkhead.logModule(${named}, 'act', 'info')),
            ];
          }`),
          'go',
          [],
          { views: { 'admin_area/hello.liquid': 'Hello' }, onNotify: (path) => notices.push(path) },
        ),
      ).toEqual(['NotGranted NOT_GRANTED', 'NotGranted NOT_GRANTED']);
      expect(notices).toEqual([]);
    },
  );

  it('logModule writes lines of every level, and of no other (A37) [HF-03 GAP-12]', async () => {
    const lines: unknown[] = [];
    expect(
      await value(
        moduleScript(`go() {
          for (const level of ['debug', 'notice', 'emergency']) bulkhead.logModule('Product', 'Probe', 'act', level, { a: 1 }, 'b');
          try { bulkhead.logModule('Product', 'Probe', 'act', 'loud'); } catch (error) { return error.name; }
        }`),
        'go',
        [],
        { onNotify: (_path, input) => lines.push(input) },
      ),
    ).toBe('TypeError');
    expect(lines).toEqual(
      ['debug', 'notice', 'emergency'].map((level) => ({
        level,
        action: 'act',
        request: { a: 1 },
        response: 'b',
      })),
    );
  });
});

describe('measure', () => {
  it('gives what fn gave and logs time and memory, also when fn throws (A30) [TS-06 TS-10 TS-11]', async () => {
    const lines: Record<string, unknown>[] = [];
    const script = moduleScript(`async go() {
      let kept;
      const given = await this.measure('grow', async () => { kept = Array.from({ length: 300000 }, (_, i) => ({ i })); return kept.length; });
      const thrown = await this.measure('fail', () => { throw new Error('no'); }).catch((error) => error.message);
      return [given, thrown, kept.length];
    }`);
    expect(
      await value(script, 'go', [], {
        onNotify: (_path, input) => lines.push(input as Record<string, unknown>),
      }),
    ).toEqual([300_000, 'no', 300_000]);
    expect(lines.map((line) => line['request'])).toEqual([
      {
        operation: 'grow',
        execution_time: expect.stringMatching(/^\d+(\.\d+)?ms$/),
        memory_usage: expect.stringMatching(/^\d{3,}KB$/),
        memory: expect.stringMatching(/^\d+(\.\d)?MB$/),
      },
      expect.objectContaining({ operation: 'fail' }),
    ]);
  });

  it('asking for memory counts as a call: it cannot go on for ever', async () => {
    await expect(run(`for (;;) await this.measure('x', () => undefined);`)).rejects.toThrow(
      /LIMIT: More than 1000 capability calls/,
    );
  });
});
