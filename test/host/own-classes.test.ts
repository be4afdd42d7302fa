/** Classes of an author's own between the host's and the module's: what they define counts as the module's, what the host gives does not. */
import { expect, it } from 'vitest';
import { useTestHost } from '../support/host.ts';

const host = useTestHost({ worker: true });

const HOUSE = `
  class House extends Product {
    createJob() { return { status: 'success', data: 'by the house' }; }
    async createCallback(result, task) {
      this.logInfo('house', { same: (await super.createCallback(result, task)) === result });
    }
    getProductPage() { return '<p>The house</p>'; }
    adminPermissions() { return [{ name: 'See', key: 'see', description: '' }]; }
    adminWebRoutes() {
      return [{ method: 'get', uri: 'list', permission: 'see', name: 'list', controller: 'ListController@list' }];
    }
  }`;
const LIST = `import { Controller, html } from 'bulkhead';
  class Shared extends Controller { list() { return html('<p>' + this.rows().join() + '</p>'); } }
  export default class ListController extends Shared { rows() { return ['one']; } }`;

it('a method, a page, a callback and a controller’s action may stand in a class between', async () => {
  const { a } = host();
  await host().publish({
    name: 'Villa',
    manifest: { permissions: { tasks: true } },
    files: {
      'Villa.ts': `import { Product } from 'bulkhead';\n${HOUSE}\nexport default class Villa extends House {}`,
      'controllers/ListController.ts': LIST,
    },
  });
  const installationId = await a.installed('Villa');
  expect(await a.panel.catalog.productForm(installationId, null)).toEqual({ kind: 'html' });
  const serviceId = await a.order(await a.product('Villa', 'Villa'));
  await a.reached(serviceId, 'completed', 'active');
  expect(await a.logs('Villa')).toContainEqual(expect.stringMatching(/^module info house .*"same":true/));
  const installation = await a.installation('Villa');
  const { declaration } = await a.panel.db
    .selectFrom('module_versions')
    .select('declaration')
    .where('id', '=', installation.version_id)
    .executeTakeFirstOrThrow();
  expect(declaration).toMatchObject({
    own_methods: ['adminPermissions', 'adminWebRoutes', 'createCallback', 'createJob', 'getProductPage'],
    controllers: { ListController: ['list', 'rows'] },
  });
});
