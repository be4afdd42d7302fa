/** The module in a real host: its own database, its own sandbox, and a server's panel that is played on loopback. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { conformance, load, type Loaded } from 'bulkhead/kit';
import type MyCloudService from '../MyCloudService.ts';
import { options, ORDER, panel, PRODUCT } from './conformance.ts';

let module: Loaded<MyCloudService>;

before(async () => {
  module = await load<MyCloudService>('Product/MyCloudService', { ...options, api: panel() });
});
after(() => module.close());

void describe('MyCloudService', () => {
  void test('takes valid product data', async () => {
    const result = await module.saveProductData(PRODUCT);
    assert.equal(result.status, 'success');
    assert.equal(result.code, 200);
  });

  void test('refuses invalid product data', async () => {
    const result = await module.saveProductData({
      server_location: '',
      plan_type: 'invalid',
      disk_space: -1,
    });
    assert.equal(result.status, 'error');
    assert.equal(result.code, 422);
  });

  void test('queues each change of a service', async () => {
    module.setProductData(PRODUCT);
    module.setServiceData({ ...ORDER, username: 'tester1', password: 'A-password-1' });
    await module.setServiceUuid('test-uuid');
    assert.equal((await module.create()).status, 'success');
    assert.equal((await module.suspend()).status, 'success');
    assert.equal((await module.unsuspend()).status, 'success');
    assert.equal((await module.termination()).status, 'success');
  });

  void test('takes a service through its life', async () => {
    module.setProductData(PRODUCT);
    await module.order(ORDER);
    await module.runTasks();
    const service = await module.service();
    assert.equal(service.provision_status, 'completed');
    assert.match(String(service.provision_data['username']), /^\d{6}$/);
    const created = module.api.asked.find(({ method }) => method === 'POST');
    assert.equal(created?.headers['authorization'], 'Bearer a-key-for-tests-1');
    await module.suspendJob();
    assert.equal((await module.service()).provision_status, 'suspended');
    await module.unsuspendJob();
    await module.terminationJob();
    assert.equal((await module.service()).provision_status, 'terminated');
  });

  void test('adds a server, and tells what is wrong with one', async () => {
    const bad = await module.request('POST', 'servers', { name: '', ip: 'x', location: '' });
    assert.equal(bad.status, 422);
    const good = await module.request('POST', 'servers', {
      name: 'One',
      ip: '192.0.2.1',
      location: 'Berlin',
    });
    assert.deepEqual(good, {
      kind: 'json',
      status: 200,
      body: { success: true, message: 'Server created successfully' },
    });
  });
});

conformance('Product/MyCloudService', { ...options, api: panel(), test, after });
