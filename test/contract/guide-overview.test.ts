/** The guide's first chapters: types and classes, a module's folder, its manifest, and the way from an empty folder to a page. */
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { kinds } from '../../sandbox/contract/kinds.ts';
import { parseManifest } from '../../sandbox/contract/manifest.ts';
import { newModule } from '../../src/cli/commands/module-new.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { openBrowser } from '../support/browser.ts';
import { PASSWORD, useTestHost } from '../support/host.ts';
import { fixtureFolder, packFolder, packSource } from '../support/modules.ts';
import { moduleScript, useSandbox } from '../support/sandbox.ts';
import { withFolder } from '../store/package/fixture.ts';
import { htmlOf, requestOf } from './guide-support.ts';

const host = useTestHost({ worker: true });
const { value } = useSandbox();
const FOLDER = fixtureFolder('Product/MyHostingService');

describe('the types', () => {
  it('are classes over one base, in the sandbox: Module, then Product, Plugin, Payment and Notification [AO-02 AO-04..AO-08]', async () => {
    // Inherited, not copied: the very same functions.
    const script = moduleScript(`
      shared() {
        const base = bulkhead.Module.prototype;
        return ['Product', 'Plugin', 'Payment', 'Notification'].filter((name) =>
          ['activate', 'deactivate', 'update', 'adminPermissions', 'adminSidebar', 'adminWebRoutes', 'logInfo', 'config'].every(
            (method) => typeof base[method] === 'function' && bulkhead[name].prototype[method] === base[method]));
      }
      own() { return [this instanceof Product, typeof this.getProductData, typeof this.send]; }`);
    expect(await value(script, 'shared')).toEqual(['Product', 'Plugin', 'Payment', 'Notification']);
    expect(await value(script, 'own')).toEqual([true, 'function', 'undefined']);
  });

  it('say what they are for [AO-10..AO-13]', () => {
    expect(Object.values(kinds).map(({ type, doc }) => `${type}: ${doc}`)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^Product: Provisions and manages/),
        expect.stringMatching(/^Plugin: \w/),
        expect.stringMatching(/^Payment: \w/),
        expect.stringMatching(/^Notification: \w/),
      ]),
    );
  });
});

describe('a module’s folder', () => {
  it('is read as the guide lays it out: class, manifest, controllers, services, models, views by area, assets, languages [GS-05 GS-07..GS-10 GS-12 GS-14 GS-17 GS-18 GS-23 CT-01 AC-01]', async () => {
    const contents = await readPackage(await packFolder(FOLDER));
    expect(contents.name).toBe('Product/MyHostingService');
    expect([...contents.source.keys()]).toEqual(
      expect.arrayContaining([
        'MyHostingService.ts',
        'controllers/ServerController.ts',
        'controllers/ServerGroupController.ts',
        'services/ExternalAPI.ts',
        'models/tables.ts',
      ]),
    );
    expect(Object.keys(contents.views).toSorted()).toEqual([
      'admin_area/dashboard.liquid',
      'admin_area/product.liquid',
      'admin_area/service.liquid',
      'client_area/files.liquid',
      'client_area/general.liquid',
    ]);
    expect([...contents.assets.keys()].toSorted()).toEqual(['css/style.css', 'img/logo.svg', 'js/app.js']);
    expect(Object.keys(contents.lang)).toEqual(['en', 'pl']);
  });

  it('is refused without its class, without its manifest, or with another file name than the class’s [GS-04 GS-07 GS-08]', async () => {
    const members = `activate() { return 'success'; }`;
    const wrong = (files: Record<string, string>) => packSource({ name: 'Exact', members, files });
    await expect(wrong({ 'module.json': '' })).rejects.toThrow(/module\.json/);
    const manifest = JSON.stringify({ name: 'Other', type: 'Product', title: 'x', version: '1.0.0' });
    await expect(wrong({ 'module.json': manifest })).rejects.toThrow(/Other\.ts/);
    const other = `import { Product } from 'bulkhead'; export default class Another extends Product {}`;
    const published = host().publish({ name: 'Exact', files: { 'Exact.ts': other } });
    await expect(published).rejects.toThrow(/must export "class Exact" as default; it exports Another/);
  });

  it.each(['myModule', 'my-module', 'My_Module', '9Lives', 'My Module'])(
    'is refused under the name %s, which is not StudlyCase [GS-03]',
    (name) => {
      const manifest = { name, type: 'Product', title: 'x', version: '1.0.0' };
      expect(() => parseManifest(manifest)).toThrow(/name: .*StudlyCase/);
      expect(parseManifest({ ...manifest, name: 'MyModule9' }).name).toBe('MyModule9');
    },
  );
});

describe('the manifest', () => {
  it('has the guide’s eight fields, and the store shows them [CF-01..CF-08]', async () => {
    const { a, bulkhead } = host();
    const { moduleId, versionId } = await host().publishFolder(FOLDER);
    const manifest = {
      title: 'My Hosting Service',
      description: 'The examples of the module guide’s reference, ported line by line'.replace('’', "'"),
      version: '1.0.0',
      author: 'Your Name',
      email: 'your.email@domain.com',
      website: 'https://yourdomain.com',
      icon: 'fas fa-server',
    };
    expect(await bulkhead.panel.catalog.modulePage(moduleId)).toMatchObject({
      ...manifest,
      logo: 'img/logo.svg',
    });
    const admin = openBrowser('http://127.0.0.1:4300', (request) => bulkhead.app.fetch(request));
    await admin.signIn(`/t/${a.slug}/admin`, { email: `admin@${a.slug}.example`, password: PASSWORD });
    const html = await (await admin.get(`/t/${a.slug}/admin/store/${moduleId}`)).text();
    for (const text of ['My Hosting Service', '1.0.0', 'Your Name', manifest.email, manifest.website])
      expect(html).toContain(text);
    const logo = `/m/${versionId}/assets/img/logo.svg`;
    expect(html).toContain(`src="${logo}"`);
    expect((await admin.get(logo)).headers.get('content-type')).toMatch(/^image\/svg/);
  });

  it('keeps what is secret elsewhere: encrypted, and a handle to the module [CF-09]', async () => {
    const { a, bulkhead } = host();
    await a.installed('MyHostingService', { api_url: 'https://api.example.com', api_key: 'very-secret-key' });
    const everything = await bulkhead.databases.host.sql<{ row: string }[]>`
      select i::text as row from installations i union all select s::text from secrets s union all
      select v.manifest::text from module_versions v`;
    expect(everything.map(({ row }) => row).join('\n')).not.toContain('very-secret-key');
    const { apiKey } = Object(await a.call('MyHostingService', 'configuration'));
    expect(apiKey).toMatch(/^bhs_/);
  });
});

describe('from nothing to a page', () => {
  it('a type and a name make a folder that is packed, published, installed, configured, activated and opened, with no restart [AO-01 AO-03 GS-02 GS-06 WF-24..WF-28 WF-33..WF-35]', async () => {
    const { b, bulkhead } = host();
    await withFolder({}, async (folder) => {
      const made = await newModule('Product/FirstService', path.join(folder, 'first'), () => undefined);
      const pkg = await packFolder(made);
      const contents = await readPackage(pkg);
      expect([...contents.source.keys()]).toEqual(
        expect.arrayContaining(['FirstService.ts', 'controllers/FirstServiceController.ts']),
      );
      expect(Object.keys(contents.views).length).toBeGreaterThan(1);
      expect(Object.keys(contents.lang)).toEqual(['en', 'pl']);
      await bulkhead.publish(pkg, { status: 'published' });
    });
    const installationId = await b.installed('FirstService', {
      api_url: 'https://api.example.com',
      api_key: 'k-1234567890',
    });
    expect(await b.installation('FirstService')).toMatchObject({ status: 'active' });
    const { declaration } = await bulkhead.panel.db
      .selectFrom('module_versions as version')
      .innerJoin('installations as installation', 'installation.version_id', 'version.id')
      .select('version.declaration')
      .where('installation.id', '=', installationId)
      .executeTakeFirstOrThrow();
    const [route] = Object(declaration).web_routes;
    const page = await bulkhead.panel.modules.adminPage({
      installationId,
      path: String(route.uri),
      account: { id: b.adminId, kind: 'admin', permissions: ['*'] },
      request: requestOf('GET', String(route.uri)),
    });
    expect(htmlOf(page)).toContain('<');
  });
});

describe('provision status', () => {
  it('takes the known values and no other [GAP-13]', async () => {
    const { a } = host();
    await host().publish({
      name: 'Statuses',
      manifest: { permissions: { tasks: { concurrency: 1, per_minute: 100 } } },
      members: `
        createJob() { return { status: 'success' }; }
        async set(uuid, status) { await this.service.setProvisionStatus(status, uuid); return (await this.service.get(uuid)).provision_status; }`,
    });
    await a.installed('Statuses');
    const product = await a.product('Statuses', 'Any');
    const serviceId = await a.order(product);
    await a.reached(serviceId, 'completed', 'active');
    for (const status of [
      'pending',
      'processing',
      'completed',
      'failed',
      'suspended',
      'cancelled',
      'not_found',
      'paused',
      'terminated',
    ])
      expect(await a.call('Statuses', 'set', serviceId, status)).toBe(status);
    for (const status of ['active', 'done', '', 'COMPLETED'])
      await expect(a.call('Statuses', 'set', serviceId, status)).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });
});
