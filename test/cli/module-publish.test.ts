/** `bulkhead module publish` and the address it speaks to: who may hand in a package, and what becomes of it. */
import { serve } from '@hono/node-server';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { publishFile } from '../../src/cli/commands/module-publish.ts';
import { createBulkhead, type Bulkhead } from '../../src/host.ts';
import { withFolder } from '../store/package/fixture.ts';
import { kitDatabases } from '../support/kit.ts';
import { packSource } from '../support/modules.ts';
import { refusal } from '../support/tenant.ts';

const TOKEN = 'an-upload-token-for-tests-only';
const databases = await kitDatabases();
let store: Bulkhead | undefined;
let server: ReturnType<typeof serve> | undefined;
let address = '';

/** Listens first: the store answers under its own address only. */
async function listen(env: Record<string, string>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<AddressInfo>();
  server = serve(
    {
      fetch: (request, bindings) =>
        store?.app.fetch(request, bindings) ?? new Response(null, { status: 503 }),
      hostname: '127.0.0.1',
      port: 0,
    },
    resolve,
  );
  address = `http://127.0.0.1:${(await promise).port}`;
  store = await createBulkhead({ ...databases, publicUrl: address, env });
}

beforeAll(() => listen({ BULKHEAD_STORE_TOKEN: TOKEN }));
afterAll(async () => {
  server?.close();
  await store?.close();
});

async function withPackage(work: (file: string) => Promise<void>): Promise<void> {
  await withFolder({}, async (folder) => {
    const file = path.join(folder, 'tiny.tgz');
    await writeFile(file, await packSource({ name: 'Tiny', type: 'Plugin', version: '1.2.0' }));
    await work(file);
  });
}

it('a signed package is handed in and waits in review', async () => {
  await withPackage(async (file) => {
    const said: string[] = [];
    await publishFile(file, { to: address, token: TOKEN }, (text) => said.push(text));
    expect(said).toEqual(['test-house/Plugin/Tiny 1.2.0 was handed in and waits in review.']);
  });
  const rows = await store?.panel.db.selectFrom('module_versions').select(['version', 'status']).execute();
  expect(rows).toEqual([{ version: '1.2.0', status: 'in_review' }]);
});

it('a wrong token, no token and an address without encryption are refused before anything is read', async () => {
  await withPackage(async (file) => {
    const refused = (options: { to: string; token?: string }) =>
      refusal(async () => publishFile(file, options, () => undefined));
    expect(await refused({ to: address, token: 'wrong' })).toContain('not the store’s upload token');
    expect(await refused({ to: address })).toContain('BULKHEAD_STORE_TOKEN');
    expect(await refused({ to: 'http://store.example.com', token: TOKEN })).toContain('use https');
  });
  for (let guess = 0; guess < 12; guess++)
    await fetch(`${address}/store/packages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${guess}` },
    });
  const late = await fetch(`${address}/store/packages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  expect(late.status).toBe(429);
});

it('without BULKHEAD_STORE_TOKEN there is no such address, and a short one is refused at start', async () => {
  const plain = await createBulkhead({ ...databases, publicUrl: 'http://127.0.0.1:4300', env: {} });
  try {
    const answer = await plain.app.request('http://127.0.0.1:4300/store/packages', {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect([403, 404]).toContain(answer.status);
  } finally {
    await plain.close();
  }
  expect(
    await refusal(async () =>
      createBulkhead({
        ...databases,
        publicUrl: 'http://127.0.0.1:4300',
        env: { BULKHEAD_STORE_TOKEN: 'short' },
      }),
    ),
  ).toContain('needs at least 20 characters');
});
