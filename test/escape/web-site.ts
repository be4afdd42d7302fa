/**
 * The panel of a whole test host over real HTTP, under a name of its own (http://panel.test), and an attacker's client: it sends what no
 * browser would, with the path, Host, method and body that it likes.
 */
import { request, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve, type ServerType } from '@hono/node-server';
import { afterAll, beforeAll } from 'vitest';
import { createApp } from '../../src/web/app.ts';
import { PASSWORD, type UsedHost } from '../support/host.ts';

export const SITE = 'panel.test';

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Site {
  /** Errors the panel reported as nobody's fault but its own. */
  readonly reported: unknown[];
  send(sent: Sent): Promise<Got>;
  /** An answer whose body may go on for ever. */
  open(path: string, cookie: string): Promise<{ readonly status: number; close(): void }>;
  signIn(area: 'admin' | 'client' | 'operator', slug: string, email: string, host?: string): Promise<Person>;
}

/** Somebody who is signed in. */
export interface Person {
  readonly cookie: string;
  readonly csrf: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Got>;
  post(path: string, form: Readonly<Record<string, string>> | URLSearchParams): Promise<Got>;
  /** What the panel's bridge sends for a module's frame. */
  call(method: string, path: string, body?: string): Promise<Got>;
}

const FORM = 'application/x-www-form-urlencoded';
const TOKEN = /name="csrf-token" content="([^"]+)"/;

function send(port: number, sent: Sent): Promise<Got> {
  const { method = 'GET', path, host = SITE, headers = {}, body } = sent;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, method, path, headers: { host, ...headers }, agent: false },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text: Buffer.concat(parts).toString('utf8'),
          }),
        );
      },
    );
    outgoing.on('error', reject);
    if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) outgoing.end(body);
    else void pour(outgoing, body);
  });
}

function open(port: number, path: string, cookie: string): ReturnType<Site['open']> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, headers: { host: SITE, cookie }, agent: false },
      (answer) => {
        answer.on('error', () => undefined).resume();
        resolve({ status: answer.statusCode ?? 0, close: () => void outgoing.destroy() });
      },
    );
    outgoing.on('error', reject).end();
  });
}

async function pour(outgoing: ReturnType<typeof request>, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const part of body) {
    if (outgoing.destroyed) return;
    outgoing.write(part);
  }
  outgoing.end();
}

export function useSite(host: () => UsedHost): () => Site {
  const reported: unknown[] = [];
  let server: ServerType | undefined;
  let port = 0;
  beforeAll(async () => {
    const app = createApp({
      ...host().bulkhead.panel,
      publicUrl: `http://${SITE}`,
      reportError: (error) => void reported.push(error),
    });
    const address = await new Promise<AddressInfo>((resolve) => {
      server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, resolve);
    });
    port = address.port;
  });
  afterAll(async () => {
    if (server !== undefined && 'closeAllConnections' in server) server.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  });
  const site: Site = {
    reported,
    send: (sent) => send(port, sent),
    open: (path, cookie) => open(port, path, cookie),
    async signIn(area, slug, email, name = SITE) {
      const tenant = name === SITE ? `/t/${slug}` : '';
      const home = { operator: '/operator', admin: `${tenant}/admin`, client: tenant }[area];
      const origin = `http://${name}`;
      const form = { 'content-type': FORM, origin };
      const body = new URLSearchParams({ email, password: PASSWORD }).toString();
      const answer = await site.send({
        method: 'POST',
        path: `${home}/sign-in`,
        host: name,
        headers: form,
        body,
      });
      const cookie = (answer.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');
      const get: Person['get'] = (path, headers = {}) =>
        site.send({ path, host: name, headers: { cookie, ...headers } });
      const csrf = TOKEN.exec((await get(`${home}/profile`)).text)?.[1] ?? '';
      return {
        cookie,
        csrf,
        get,
        post: (path, fields) => {
          const sent = new URLSearchParams(fields);
          sent.set('_csrf', csrf);
          return site.send({
            method: 'POST',
            path,
            host: name,
            headers: { ...form, cookie },
            body: sent.toString(),
          });
        },
        call: (method, path, text) =>
          site.send({
            method,
            path,
            host: name,
            headers: { cookie, origin, 'x-csrf-token': csrf, accept: 'application/json' },
            ...(text === undefined ? {} : { body: text }),
          }),
      };
    },
  };
  return () => site;
}
