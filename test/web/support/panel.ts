/** The panel over real HTTP on loopback, with a seeded database of its own, and a small browser that keeps cookies and tokens. */
import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { afterAll, beforeAll } from 'vitest';
import { createApp } from '../../../src/web/app.ts';
import { useTestDatabase, type TestDatabase } from '../../support/database.ts';
import { testDeps, type TestDeps } from './deps.ts';
import { PASSWORD, seed, type Seeded } from './seed.ts';

export interface TestPanel {
  readonly origin: string;
  readonly deps: TestDeps;
  readonly seeded: Seeded;
  readonly db: TestDatabase['db'];
  /** Moves the panel's clock. */
  advance(ms: number): void;
  visitor(): Visitor;
}

/** What a browser does, as far as the panel can tell: cookies by path, Origin, and the token of the page it is on. */
export interface Visitor {
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  post(
    path: string,
    form: Record<string, string | readonly string[]>,
    headers?: Record<string, string>,
  ): Promise<Response>;
  /** Signs in and remembers the area's token. */
  signIn(
    area: 'operator' | 'admin' | 'client',
    email: string,
    options?: { tenant?: string; password?: string },
  ): Promise<Response>;
  csrf: string;
  cookies(): ReadonlyMap<string, string>;
}

const TOKEN = /name="csrf-token" content="([^"]+)"/;

export function usePanel(options: { base?: string } = {}): () => TestPanel {
  const database = useTestDatabase();
  let panel: TestPanel | undefined;
  let server: ServerType | undefined;

  beforeAll(async () => {
    const { db } = database();
    let nowMs = Date.now();
    const now = (): number => nowMs;
    const seeded = await seed(db, now);
    let app: ReturnType<typeof createApp> | undefined;
    const listening = await new Promise<AddressInfo>((resolve) => {
      server = serve(
        {
          fetch: (request, env) => app?.fetch(request, env) ?? new Response(null, { status: 503 }),
          port: 0,
          hostname: '127.0.0.1',
        },
        resolve,
      );
    });
    const host = `http://127.0.0.1:${listening.port}`;
    const deps = testDeps(db, seeded, { publicUrl: host + (options.base ?? ''), now });
    app = createApp(deps);
    panel = {
      origin: host,
      deps,
      seeded,
      db,
      advance: (ms) => {
        nowMs += ms;
      },
      visitor: () => visitor(host, options.base ?? ''),
    };
  });
  afterAll(async () => {
    await new Promise((resolve) => server?.close(resolve));
  });
  return () => {
    if (panel === undefined) throw new Error('the panel is there inside tests and hooks only');
    return panel;
  };
}

function visitor(origin: string, base: string): Visitor {
  const jar = new Map<string, string>();
  const keep = (response: Response): Response => {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ');
      const [name = '', value = ''] = pair.split('=');
      if (attributes.includes('Max-Age=0')) jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  };
  const cookie = (): string => [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const self: Visitor = {
    csrf: '',
    cookies: () => jar,
    async get(path, headers = {}) {
      return keep(
        await fetch(origin + base + path, { headers: { cookie: cookie(), ...headers }, redirect: 'manual' }),
      );
    },
    async post(path, form, headers = {}) {
      const body = new URLSearchParams();
      for (const [name, value] of Object.entries({ _csrf: self.csrf, ...form }))
        for (const text of typeof value === 'string' ? [value] : value) body.append(name, text);
      return keep(
        await fetch(origin + base + path, {
          method: 'POST',
          body,
          headers: { cookie: cookie(), origin, ...headers },
          redirect: 'manual',
        }),
      );
    },
    async signIn(area, email, options = {}) {
      const tenant = `/t/${options.tenant ?? 'acme'}`;
      const home = { operator: '/operator', admin: `${tenant}/admin`, client: tenant }[area];
      const response = await self.post(`${home}/sign-in`, { email, password: options.password ?? PASSWORD });
      const page = await self.get(`${home}/profile`);
      self.csrf = TOKEN.exec(await page.text())?.[1] ?? '';
      return response;
    },
  };
  return self;
}
