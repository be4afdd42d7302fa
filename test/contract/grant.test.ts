/** Asks and grants: what a manifest may say, what an admin may answer, and what follows. All over the real capabilities. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import {
  type Answer,
  type Ask,
  grantsFrom,
  notGranted,
  parsePermissions,
  wordsOf,
} from '../../sandbox/contract/grant.ts';
import { hostMatches, parseHostPattern, patternCovers } from '../../sandbox/contract/host-pattern.ts';
import { parseManifest } from '../../sandbox/contract/manifest.ts';

const parse = (permissions: unknown): Ask[] => parsePermissions(permissions, capabilities);
const grantAll = (asks: readonly Ask[]): Record<string, Answer> =>
  Object.fromEntries(asks.map((ask) => [ask.id, { granted: true }]));

describe('a sentence of the consent page', () => {
  const secret = (title: string) => ({ secrets: { key: { title, hosts: ['evil.example'] } } });

  it.each([
    ['ends its quotation', 'API key”, sent only to api.example.com. It never sees the value. “'],
    ['quotes plainly', 'API key", sent only to api.example.com "'],
    ['turns what follows', 'API key\u202e'],
    ['isolates what follows', '\u2066API key'],
    ['begins a new line', 'API key\nNothing else.'],
    ['separates lines unseen', 'API key\u2028Nothing else.'],
    ['hides a terminal’s sequence', 'API key\u001b[2K'],
    ['never ends', 'k'.repeat(101)],
  ])('is not made by a title that %s', (_what, title) => {
    expect(() => parse(secret(title))).toThrow(/permissions\.secrets\.names\.key\.title: /);
  });

  it('nor by a reason or a title of the module that does', () => {
    expect(() => parse({ db: { tables: 1, reason: 'safe \u202e' } })).toThrow(/reason/);
    expect(() => parse({ db: { tables: 1, reason: 'r'.repeat(501) } })).toThrow(/reason/);
    const manifest = { name: 'Spoof', type: 'Plugin', version: '1.0.0' };
    expect(() => parseManifest({ ...manifest, title: 'Back\u202eups' })).toThrow(/title/);
    expect(() => parseManifest({ ...manifest, title: 'Backups', description: 'a\u2067b' })).toThrow(
      /description/,
    );
    expect(parseManifest({ ...manifest, title: 'Kopie zapasowe · نسخ', description: 'a\nb' })).toMatchObject({
      title: 'Kopie zapasowe · نسخ',
    });
  });
});

describe('permissions of a manifest', () => {
  it('become one ask for each thing that can be granted', () => {
    const asks = parse({
      http: {
        hosts: ['api.example.com', { value: '*.example.com:8443', optional: true, reason: 'mirrors' }],
        methods: ['GET'],
        per_minute: 30,
      },
      secrets: { api_key: { title: 'API key', hosts: ['api.example.com'] } },
    });
    expect(asks.map((ask) => [ask.id, ask.optional, ask.reason, ask.amount])).toEqual([
      ['http.hosts:api.example.com', false, '', undefined],
      ['http.hosts:*.example.com:8443', true, 'mirrors', undefined],
      ['http.methods:GET', false, '', undefined],
      ['http.per_minute', false, '', 30],
      ['secrets.names:api_key', false, '', undefined],
    ]);
  });

  it('of a whole capability may be optional, with a reason', () => {
    expect(
      parse({ db: { tables: 1, optional: true, reason: 'history' } }).every(
        (ask) => ask.optional && ask.reason === 'history',
      ),
    ).toBe(true);
  });

  it.each([
    ['an unknown capability', { htpp: {} }, /unknown key "htpp". Did you mean "http"/],
    [
      'an unknown field',
      { http: { host: ['a.example.com'] } },
      /permissions\.http: unknown key "host". Did you mean "hosts"/,
    ],
    [
      'a URL instead of a host',
      { http: { hosts: ['https://a.example.com/path'] } },
      /permissions\.http\.hosts\[0\]: a host is expected/,
    ],
    ['a wildcard inside a label', { http: { hosts: ['a*.example.com'] } }, /a host is expected/],
    ['a bare wildcard', { http: { hosts: ['*'] } }, /a host is expected/],
    ['a wildcard over a top level', { http: { hosts: ['*.com'] } }, /a host is expected/],
    ['an unknown method', { http: { hosts: [], methods: ['TRACE'] } }, /one of GET/],
    ['too large an amount', { db: { tables: 100_000 } }, /from 0 to 200/],
    ['no whole number', { db: { tables: 1.5 } }, /a whole number/],
    ['a secret with a bad name', { secrets: { 'API-KEY': { title: 'x', hosts: [] } } }, /lower case letters/],
    ['a secret without hosts', { secrets: { api_key: { title: 'x' } } }, /"hosts"/],
    ['a list for a capability without one', { db: ['tables'] }, /an object is expected/],
    ['no object at all', 'everything', /an object of capabilities/],
  ])('with %s are refused by name', (_what, permissions, message) => {
    expect(() => parse(permissions)).toThrow(message);
  });

  it('read as sentences, each with its risk', () => {
    const asks = parse({
      http: { hosts: ['api.example.com'] },
      db: { tables: 2 },
      tasks: true,
      cache: { mb: 1 },
    });
    for (const ask of asks) {
      const { text, risk } = wordsOf(ask, capabilities);
      expect(text).toMatch(/^[A-Z].*\.$/);
      expect(['low', 'medium', 'high']).toContain(risk);
    }
  });
});

describe('an admin’s answers', () => {
  const asks = parse({
    http: { hosts: ['*.example.com', 'api.other.net'], methods: ['GET', 'POST'], per_minute: 60 },
    db: { tables: 5, storage_mb: 10 },
  });

  it('grant nothing that was not answered', () => {
    expect(grantsFrom(asks, {}, capabilities)).toEqual({});
    expect(notGranted(asks, {}, capabilities)).toHaveLength(asks.length);
  });

  it('grant exactly what was asked when all is accepted', () => {
    const grants = grantsFrom(asks, grantAll(asks), capabilities);
    expect(grants).toEqual({
      http: { hosts: ['*.example.com', 'api.other.net'], methods: ['GET', 'POST'], per_minute: 60 },
      db: { tables: 5, storage_mb: 10 },
    });
    expect(notGranted(asks, grants, capabilities)).toEqual([]);
  });

  it('may lower an amount and narrow a pattern', () => {
    const answers: Record<string, Answer> = {
      ...grantAll(asks),
      'http.per_minute': { granted: true, amount: 5 },
      'http.hosts:*.example.com': { granted: true, item: 'api.example.com' },
    };
    const grants = grantsFrom(asks, answers, capabilities);
    expect(grants['http']).toMatchObject({ hosts: ['api.example.com', 'api.other.net'], per_minute: 5 });
    expect(notGranted(asks, grants, capabilities)).toEqual([]);
  });

  it.each([
    ['a larger amount', 'http.per_minute', { granted: true, amount: 61 }],
    ['a negative amount', 'http.per_minute', { granted: true, amount: -1 }],
    ['a wider pattern', 'http.hosts:api.other.net', { granted: true, item: '*.other.net' }],
    ['another host', 'http.hosts:*.example.com', { granted: true, item: 'evil.test' }],
    ['the bare domain of a wildcard', 'http.hosts:*.example.com', { granted: true, item: 'example.com' }],
    ['another method', 'http.methods:GET', { granted: true, item: 'DELETE' }],
    ['something not asked', 'secrets.names:x', { granted: true }],
  ] as const)('with %s are refused', (_what, id, answer) => {
    expect(() => grantsFrom(asks, { [id]: answer }, capabilities)).toThrow(
      /BAD_INPUT|wider|from 0 to|not among/,
    );
  });

  it('never grant more than was asked, whatever they are', () => {
    const hosts = [
      '*.example.com',
      'api.other.net',
      'example.com',
      'a.example.com',
      'evil.test',
      '*.evil.test',
    ];
    const answer = fc.oneof(
      fc.constant({ granted: false as const }),
      fc.record(
        {
          granted: fc.constant(true as const),
          amount: fc.integer({ min: -10, max: 200 }),
          item: fc.constantFrom(...hosts),
        },
        { requiredKeys: ['granted'] },
      ),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...asks.map((ask) => ask.id)), answer), (answers) => {
        let grants;
        try {
          grants = grantsFrom(asks, answers, capabilities);
        } catch {
          return;
        }
        const http = (grants['http'] ?? { hosts: [], per_minute: 0 }) as {
          hosts: string[];
          per_minute: number;
        };
        expect(
          http.hosts.every((host) => patternCovers('*.example.com', host) || host === 'api.other.net'),
        ).toBe(true);
        expect(http.per_minute).toBeLessThanOrEqual(60);
      }),
    );
  });
});

describe('host patterns', () => {
  const target = (host: string, port = 443, scheme: 'https' | 'http' = 'https') => ({ scheme, host, port });

  it.each([
    ['api.example.com', target('api.example.com'), true],
    ['api.example.com', target('api.example.com', 8443), false],
    ['api.example.com', target('api.example.com', 80, 'http'), false],
    ['http://api.example.com', target('api.example.com', 80, 'http'), true],
    ['*.example.com', target('a.b.example.com'), true],
    ['*.example.com', target('example.com'), false],
    ['*.example.com', target('evilexample.com'), false],
    ['*.example.com', target('example.com.evil.test'), false],
    ['API.Example.com:8443', target('api.example.com', 8443), true],
    ['[::1]:8080', target('[::1]', 8080), true],
  ])('%s against %o is %s', (pattern, against, expected) => {
    const parsed = parseHostPattern(pattern);
    expect(parsed !== undefined && hostMatches(parsed, against)).toBe(expected);
  });

  it('that cover another match all that the other matches', () => {
    const label = fc.stringMatching(/^[a-z]{1,3}$/);
    const host = fc.array(label, { minLength: 2, maxLength: 4 }).map((labels) => labels.join('.'));
    const pattern = fc.tuple(fc.boolean(), host).map(([wild, name]) => (wild ? `*.${name}` : name));
    fc.assert(
      fc.property(pattern, pattern, host, (granted, asked, name) => {
        const narrow = parseHostPattern(asked);
        const wide = parseHostPattern(granted);
        if (
          narrow === undefined ||
          wide === undefined ||
          !patternCovers(granted, asked) ||
          !hostMatches(narrow, target(name))
        )
          return;
        expect(hostMatches(wide, target(name))).toBe(true);
      }),
    );
  });
});

describe('a manifest', () => {
  const good = { name: 'MyModule', type: 'Plugin', title: 'Mine', version: '1.0.0' };

  it('needs little', () => {
    expect(parseManifest(good)).toMatchObject({ name: 'MyModule', description: '', asks: [], settings: [] });
  });

  it.each([
    ['an unknown key', { ...good, permisions: {} }, /unknown key "permisions". Did you mean "permissions"/],
    [
      'a name that is not StudlyCase',
      { ...good, name: 'my-module' },
      /module\.json: name: a StudlyCase name/,
    ],
    ['an unknown type', { ...good, type: 'Theme' }, /type: one of Product, Plugin/],
    ['no semantic version', { ...good, version: '1.0' }, /version: a semantic version/],
    ['an icon that is no icon', { ...good, icon: '"><script>' }, /icon: Font Awesome/],
    [
      'a website that is no address',
      { ...good, website: 'javascript:alert(1)' },
      /website: an http\(s\) address/,
    ],
    [
      'a host bound to a setting that is not declared',
      { ...good, permissions: { http: { hosts: ['{settings.api_url}'] } } },
      /unknown key "api_url"/,
    ],
    [
      'an unknown key of a field',
      { ...good, settings: [{ key: 'a', type: 'text', title: 'A', requird: true }] },
      /module\.json: settings\[0\]: unknown key "requird"\. Did you mean "required"/,
    ],
    [
      'an unknown key of an option',
      {
        ...good,
        settings: [{ key: 'a', type: 'select', title: 'A', options: [{ value: 'x', titel: 'X' }] }],
      },
      /settings\[0\]\.options\[0\]: unknown key "titel"\. Did you mean "title"/,
    ],
    [
      'an unknown key of a schedule',
      { ...good, permissions: { tasks: true }, schedule: [{ method: 'work', corn: '* * * * *' }] },
      /schedule\[0\]: unknown key "corn"\. Did you mean "cron"/,
    ],
    [
      'an unknown key of events',
      { ...good, events: { emit: ['made'] } },
      /events: unknown key "emit"\. Did you mean "emits"/,
    ],
    [
      'an unknown key of a wish',
      { ...good, permissions: { http: { hosts: [{ value: 'a.example', resaon: 'x' }] } } },
      /permissions\.http\.hosts\[0\]: unknown key "resaon"\. Did you mean "reason"/,
    ],
    [
      'an unknown key of a secret',
      { ...good, permissions: { secrets: { key: { title: 'K', hosts: [], host: [] } } } },
      /permissions\.secrets\.(?:names\.)?key: unknown key "host"\. Did you mean "hosts"/,
    ],
    [
      'a reason that is no text',
      { ...good, permissions: { db: { tables: 1, reason: 5 } } },
      /permissions\.db\.reason: a text is expected/,
    ],
    [
      'a wish that is optional by a word',
      { ...good, permissions: { http: { hosts: [{ value: 'a.example', optional: 'yes' }] } } },
      /permissions\.http\.hosts\[0\]\.optional: true or false is expected/,
    ],
    ['no object', [], /an object is expected/],
  ])('with %s is refused by name', (_what, manifest, message) => {
    expect(() => parseManifest(manifest)).toThrow(message);
  });
});
