/** What the panel keeps between requests must answer as if it kept nothing: routes by address, cookies by header. */
import { Hono } from 'hono';
import { TrieRouter } from 'hono/router/trie-router';
import { describe, expect, test } from 'vitest';
import { readSessionCookie } from '../../src/web/cookies.ts';
import { RememberingRouter } from '../../src/web/remembering-router.ts';

const ROUTES = [
  ['ALL', '/*', 'all'],
  ['GET', '/t/:tenant/m/mail', 'mail'],
  ['GET', '/t/:tenant/m/:id', 'frame'],
  ['POST', '/t/:tenant/m/:id/call/:path{.+}', 'call'],
] as const;

function routers(): { remembering: RememberingRouter<string>; plain: TrieRouter<string> } {
  const both = { remembering: new RememberingRouter<string>(), plain: new TrieRouter<string>() };
  for (const [method, path, name] of ROUTES)
    for (const router of Object.values(both)) router.add(method, path, name);
  return both;
}

describe('a route', () => {
  test('is found again as it was found first, by its method and whole path', () => {
    const { remembering, plain } = routers();
    const asked = ['/t/a/m/mail', '/t/a/m/1', '/t/b/m/1', '/t/a/m/1/call/x/y', '/t/a/m/1/call/x', '/no'];
    for (let round = 0; round < 3; round++)
      for (const path of asked)
        for (const method of ['GET', 'POST', 'GET /t/a'])
          expect(remembering.match(method, path)).toEqual(plain.match(method, path));
  });

  test('is found where more addresses are asked for than are kept, and longer ones', () => {
    const { remembering, plain } = routers();
    for (let number = 0; number < 2_500; number++) {
      const path = `/t/t${number}/m/${number}`;
      expect(remembering.match('GET', path)).toEqual(plain.match('GET', path));
    }
    const long = `/t/a/m/1/call/${'x/'.repeat(200)}`;
    expect(remembering.match('POST', long)).toEqual(plain.match('POST', long));
  });

  test('that is added later counts for addresses that were asked for before', () => {
    const { remembering } = routers();
    const before = remembering.match('GET', '/t/a/m/1')[0].length;
    remembering.add('GET', '/t/:tenant/m/:id', 'second');
    expect(remembering.match('GET', '/t/a/m/1')[0]).toHaveLength(before + 1);
  });
});

describe('a session’s cookie', () => {
  const app = new Hono().get('/', (c) => c.json(readSessionCookie(c, 'admin') ?? null));
  test.each([
    ['bh_admin=abc-_9', 'abc-_9'],
    ['a=b; bh_admin=abc; bh_client=x', 'abc'],
    ['a=b;bh_admin=abc', 'abc'],
    ['bh_admin="abc"', 'abc'],
    ['bh_admin=a%2Db', 'a-b'],
    ['bh_admin=first; bh_admin=second', 'first'],
    ['not_bh_admin=abc', null],
    ['x=bh_admin=abc', null],
    ['bh_admin2=abc', null],
    ['bh_client=abc', null],
  ])('is read from %j', async (cookie, found) => {
    expect(await (await app.request('/', { headers: { cookie } })).json()).toBe(found);
  });
});
