/**
 * Looks at the panel with eyes: seeds a throw-away database, serves the panel on loopback and writes a picture of every page.
 * node test/web/look.ts <folder> [page …]   (needs /usr/bin/chromium)
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { connectHost } from '../../src/database/connect.ts';
import { startEmbedded } from '../../src/database/embedded/start.ts';
import { migrate } from '../../src/database/migrate.ts';
import { createApp } from '../../src/web/app.ts';
import { testDeps } from './support/deps.ts';
import { PASSWORD, seed } from './support/seed.ts';

const PORT = 4_173;
const ORIGIN = `http://localhost:${PORT}`;
const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url));
const CHROMIUM_ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const MODULE_HTML = `<h1>Servers</h1><table><thead><tr><th>Name</th><th>Address</th><th>Status</th><th></th></tr></thead><tbody>
<tr><td><a href="servers/1">web-1</a></td><td><code>203.0.113.7</code></td><td><span class="badge badge-success">running</span></td><td class="text-end"><form method="post" action="servers/1/reboot"><button class="btn btn-sm">Reboot</button></form></td></tr>
<tr><td>web-2</td><td><code>203.0.113.9</code></td><td><span class="badge badge-warning">building</span></td><td></td></tr></tbody></table>
<form><div class="mb-3"><label>Name</label><input name="name" placeholder="web-3"></div><button class="btn btn-primary">Add server</button></form><script src="/-assets-/js/app.js"></script>`;

const folder = process.argv[2] ?? 'shots';
const wanted = process.argv.slice(3);
mkdirSync(folder, { recursive: true });
const data = mkdtempSync(join(tmpdir(), 'bulkhead-look-'));
const postgres = await startEmbedded({ dataDir: join(data, 'pg') });
const host = connectHost({ ...postgres.endpoint(), database: 'postgres' });
await migrate({ ...postgres.endpoint(), database: 'postgres' }, MIGRATIONS);
const now = (): number => Date.now();
const seeded = await seed(host.db, now);
const deps = testDeps(host.db, seeded, { publicUrl: ORIGIN, now });
deps.answer = { kind: 'html', status: 200, html: MODULE_HTML };
const server = serve({ fetch: createApp(deps).fetch, port: PORT, hostname: '127.0.0.1' });
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM_ARGS });

async function signIn(context: BrowserContext, path: string, email: string): Promise<Page> {
  const page = await context.newPage();
  const told = (text: string): void => void process.stdout.write(`  ! ${page.url()}: ${text}\n`);
  page.on('console', (message) => message.type() === 'error' && told(message.text()));
  page.on('pageerror', (error) => told(error.message));
  await page.goto(`${ORIGIN}${path}/sign-in`);
  await page.fill('#email', email);
  await page.fill('#password', PASSWORD);
  await page.click('button[type=submit]');
  await page.waitForLoadState('load');
  return page;
}

async function shoot(page: Page, name: string, path: string): Promise<void> {
  if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) return;
  const response = await page.goto(`${ORIGIN}${path}`, { waitUntil: 'load' });
  await page.waitForTimeout(400);
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
  process.stdout.write(`${name} ${response?.status()}\n`);
}

const admin = '/t/acme/admin';
const installation = `${admin}/installations/${seeded.installationId}`;
const ADMIN_PAGES: readonly (readonly [string, string])[] = [
  ['dashboard', admin],
  ['modules', `${admin}/modules`],
  ['store', `${admin}/store`],
  ['store-module', `${admin}/store/${seeded.moduleId}`],
  ['module', installation],
  ['consent', `${installation}/permissions`],
  ['module-settings', `${installation}/settings`],
  ['module-tasks', `${installation}/tasks`],
  ['module-logs', `${installation}/logs`],
  ['module-danger', `${installation}/danger`],
  ['module-page', `${admin}/modules/Product/VPSHosting/servers`],
  ['products', `${admin}/products`],
  ['product', `${admin}/products/${seeded.productId}`],
  ['product-new', `${admin}/products/new?module=${seeded.installationId}`],
  ['clients', `${admin}/clients`],
  ['client', `${admin}/clients/${seeded.clientId}`],
  ['client-new', `${admin}/clients/new`],
  ['services', `${admin}/services`],
  ['service', `${admin}/services/${seeded.serviceId}`],
  ['service-new', `${admin}/services/new?product=${seeded.productId}`],
  ['tasks', `${admin}/tasks`],
  ['task', `${admin}/tasks/${seeded.taskId}`],
  ['logs', `${admin}/logs`],
  ['settings', `${admin}/settings`],
  ['profile', `${admin}/profile`],
  ['missing', `${admin}/nothing`],
];
const CLIENT_PAGES: readonly (readonly [string, string])[] = [
  ['c-services', '/t/acme/services'],
  ['c-service', `/t/acme/services/${seeded.serviceId}`],
  ['c-order', '/t/acme/order'],
  ['c-order-form', `/t/acme/order/${seeded.productId}`],
];
const OPERATOR_PAGES: readonly (readonly [string, string])[] = [
  ['o-tenants', '/operator/tenants'],
  ['o-tenant', `/operator/tenants/${seeded.tenantId}`],
  ['o-packages', '/operator/packages'],
  ['o-package', `/operator/packages/${seeded.versionId}`],
  ['o-runners', '/operator/runners'],
];

try {
  const wide = await browser.newContext({ viewport: { width: 1_400, height: 900 } });
  const out = await wide.newPage();
  await shoot(out, 'sign-in', `${admin}/sign-in`);
  const page = await signIn(wide, admin, 'olga@acme.test');
  for (const [name, path] of ADMIN_PAGES) await shoot(page, name, path);
  const client = await signIn(wide, '/t/acme', 'carl@client.test');
  for (const [name, path] of CLIENT_PAGES) await shoot(client, name, path);
  const operator = await signIn(wide, '/operator', 'root@panel.test');
  for (const [name, path] of OPERATOR_PAGES) await shoot(operator, name, path);
  const phone = await browser.newContext({ viewport: { width: 390, height: 800 }, colorScheme: 'dark' });
  const small = await signIn(phone, admin, 'olga@acme.test');
  for (const [name, path] of ADMIN_PAGES.filter(([key]) =>
    ['dashboard', 'modules', 'consent', 'service', 'module-page'].includes(key),
  ))
    await shoot(small, `phone-${name}`, path);
} finally {
  await browser.close();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  server.close();
  await host.close();
  await postgres.stop();
  rmSync(data, { recursive: true, force: true });
}
