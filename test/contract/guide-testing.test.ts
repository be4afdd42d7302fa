/** The guide's tests of a module, ported line by line to the kit: an instance for direct calls, in a real host. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { load, type Loaded } from '../../src/kit/index.ts';
import type MyHostingService from '../fixtures/Product/MyHostingService/MyHostingService.ts';
import { fixtureFolder, packFolder } from '../support/modules.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { kitDatabases } from '../support/kit.ts';

const databases = await kitDatabases();
const PRODUCT = { server_location: 'US-East', plan_type: 'premium', disk_space: 100, bandwidth: 1000 };

let module: Loaded<MyHostingService>;

beforeAll(async () => {
  module = await load<MyHostingService>('Product/MyHostingService', {
    folder: fixtureFolder('Product/MyHostingService'),
    api: () => ({ json: { id: 'a1' } }),
    settings: ({ api }) => ({ api_url: api?.origin ?? '', api_key: 'a-key-for-tests-1' }),
    databases,
  });
});
afterAll(async () => module.close());

test('test_product_data_validation [TE-02..TE-04 TE-08 WF-29]', async () => {
  const result = await module.saveProductData(PRODUCT);
  expect(result.status).toBe('success');
  expect(result.code).toBe(200);
});

test('test_invalid_product_data_rejected [TE-05 TE-08 WF-29]', async () => {
  const data = { server_location: '', plan_type: 'invalid', disk_space: -1 };
  const result = await module.saveProductData(data);
  expect(result.status).toBe('error');
  expect(result.code).toBe(422);
});

test('test_complete_service_lifecycle [TE-06 TE-07 WF-30]', async () => {
  module.setProductData(PRODUCT);
  module.setServiceData({ domain: 'example.com', username: 'alice' });
  await module.setServiceUuid('test-uuid');
  // Create service
  expect((await module.create()).status).toBe('success');
  // Suspend service
  expect((await module.suspend()).status).toBe('success');
  // Unsuspend service
  expect((await module.unsuspend()).status).toBe('success');
  // Terminate service
  expect((await module.termination()).status).toBe('success');
});

test('a module’s tests stand in its own test folder and are not shipped [TE-01]', async () => {
  const contents = await readPackage(
    await packFolder(new URL('../../modules/Product/MyCloudService', import.meta.url).pathname),
  );
  expect([...contents.source.keys()].filter((file) => file.startsWith('test/'))).toEqual([]);
  expect([...contents.source.keys()]).toContain('MyCloudService.ts');
});
