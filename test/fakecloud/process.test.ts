/** The fake cloud as a process: it must be easy to start and impossible to leave behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { spawnFakeCloud } from '../../src/fakecloud/spawn.ts';
import { cloudCall, until } from './support.ts';

const SPAWN = new URL('../../src/fakecloud/spawn.ts', import.meta.url).href;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a fake cloud says where everything is and ends on stop, twice if asked', async () => {
  const cloud = await spawnFakeCloud({ cloudToken: 'dop_v1_mine', stripeKeys: ['sk_test_a', 'sk_test_b'] });
  expect(cloud.cloudToken).toBe('dop_v1_mine');
  expect(cloud.stripe.secretKeys).toEqual(['sk_test_a', 'sk_test_b']);
  expect((await cloudCall(cloud, 'GET', '/account')).status).toBe(200);
  await cloud.stop();
  await cloud.stop();
  expect(isAlive(cloud.pid)).toBe(false);
});

test('a fake cloud started with the same options twice has other tokens', async () => {
  await using one = await spawnFakeCloud();
  await using two = await spawnFakeCloud();
  const secrets = ({ cloudToken, controlToken, slack, smtp, stripe }: typeof one) => [
    cloudToken,
    controlToken,
    slack.split('/').at(-1),
    smtp.password,
    ...stripe.secretKeys,
  ];
  expect(new Set([...secrets(one), ...secrets(two)]).size).toBe(10);
});

test('a fake cloud dies with its parent, also when that is killed with -9', async () => {
  const script = `import { spawnFakeCloud } from ${JSON.stringify(SPAWN)};
    const cloud = await spawnFakeCloud();
    process.stdout.write(cloud.pid + '\\n');
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await until('the end of the orphan', () => (isAlive(pid) ? null : true));
});

test.each(['SIGTERM', 'SIGINT'] as const)('a fake cloud ends on %s', async (signal) => {
  await using cloud = await spawnFakeCloud();
  process.kill(cloud.pid, signal);
  await cloud.exited;
  expect(isAlive(cloud.pid)).toBe(false);
});

test('a fake cloud that cannot start says which option is wrong', async () => {
  await expect(spawnFakeCloud({ port: 70_000 })).rejects.toThrow(
    'FAKECLOUD_PORT: must be a whole number up to 65535',
  );
  await expect(spawnFakeCloud({ webhookUrl: 'http://192.0.2.1/hook' })).rejects.toThrow(
    'FAKECLOUD_WEBHOOK_URL',
  );
});

test('a fake cloud whose port is taken fails instead of taking another', async () => {
  await using cloud = await spawnFakeCloud();
  await expect(spawnFakeCloud({ port: Number(new URL(cloud.cloud).port) })).rejects.toThrow('EADDRINUSE');
});

test('the servers listen on 127.0.0.1 and on no other address', async () => {
  await using cloud = await spawnFakeCloud();
  for (const port of [Number(new URL(cloud.cloud).port), cloud.smtp.port]) {
    const socket = connect(port, '127.0.0.2');
    const outcome = await Promise.race([
      once(socket, 'connect').then(() => 'connected'),
      once(socket, 'close').then(() => 'refused'),
    ]).catch(() => 'refused');
    socket.destroy();
    expect(outcome).toBe('refused');
  }
});

test('a fake cloud sees none of its parent’s variables', async () => {
  process.env['FAKECLOUD_TOKEN'] = 'dop_v1_from_the_parent';
  try {
    await using cloud = await spawnFakeCloud();
    expect(cloud.cloudToken).not.toBe('dop_v1_from_the_parent');
  } finally {
    delete process.env['FAKECLOUD_TOKEN'];
  }
});
