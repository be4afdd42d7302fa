/**
 * The work that every peer does, in the forms they take it: `hello` computes with what it was sent, `call` asks its host for one thing
 * that the host alone can do, to encrypt a text. As a text it runs inside the sandboxes; plain Hono runs it as it stands.
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import { serve } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import type { Hono } from 'hono';
import type { Target } from '../lib/load.ts';
import type { Ready } from '../lib/peer.ts';

export interface Order {
  readonly who: string;
  readonly items: readonly { readonly qty: number; readonly price: number }[];
}

export type Host = (name: string, input: { readonly text: string }) => Promise<{ readonly sealed: string }>;

export const ORDER: Order = {
  who: 'ada lovelace',
  items: [
    { qty: 2, price: 9.5 },
    { qty: 1, price: 120 },
    { qty: 12, price: 0.25 },
  ],
};

/** Defines hello(order) and call(order); needs host(name, input). */
export const GUEST = `
async function hello(order) {
  let sum = 0;
  for (const { qty, price } of order.items) sum += qty * price;
  return { total: Math.round(sum * 100) / 100, lines: order.items.length, who: order.who.toUpperCase() };
}
async function call(order) {
  const { sealed } = await host('encrypt', { text: order.who });
  return { sealed };
}`;

const key = randomBytes(32);

/** What the host does for a guest. */
export const hostWork: Host = async (_name, { text }) => {
  const cipher = createCipheriv('aes-256-gcm', key, randomBytes(12));
  const body = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  return { sealed: body.toString('base64url') };
};

export const EXPECT = { hello: 'ADA LOVELACE', call: '"sealed"' } as const;

export function targets(port: number, headers: Target['headers'] = {}, prefix = ''): Ready['ways'][string] {
  const body = JSON.stringify(ORDER);
  return {
    hello: { port, path: `${prefix}/hello`, headers, body, expect: EXPECT.hello },
    call: { port, path: `${prefix}/call`, headers, body, expect: EXPECT.call },
  };
}

/** Listens on a free port of loopback. */
export function listen(fetch: Hono['fetch']): Promise<number> {
  return new Promise((resolve) => {
    serve({ fetch, hostname: '127.0.0.1', port: 0 }, (address: AddressInfo) => resolve(address.port));
  });
}

/** Tells the bench that all is ready, and ends with it. */
export function announce(ready: Ready, end: () => unknown = () => undefined): void {
  process.stdout.write(`${JSON.stringify(ready)}\n`);
  process.stdin.resume();
  process.stdin.once('end', () => {
    void (async (): Promise<void> => {
      await end();
      process.exit(0);
    })();
  });
}
