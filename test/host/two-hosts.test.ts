/** Two server processes on one database: what bounds a stranger's tries bounds them over both. */
import { expect, it } from 'vitest';
import { AUTH_LIMITS } from '../../src/auth/limits.ts';
import { openGround, PASSWORD, seedTenant, startHost } from '../support/host.ts';

it('whoever guesses passwords has no more tries for asking two of them', async () => {
  await using ground = await openGround();
  await using first = await startHost(ground);
  await using second = await startHost(ground);
  const tenant = await seedTenant(first.bulkhead);
  const hosts = [first.bulkhead, second.bulkhead];
  const guess = (number: number, password: string) =>
    hosts[number % 2]?.panel.auth.signIn({
      kind: 'client',
      tenantId: tenant.id,
      email: `client@${tenant.slug}.example`,
      password,
      address: `10.0.${number}.1`,
      userAgent: 'test',
    });
  for (let number = 0; number < AUTH_LIMITS.failuresPerAccount; number++)
    expect(await guess(number, 'wrong password')).toMatchObject({ reason: 'refused' });
  for (const number of [100, 101])
    expect(await guess(number, PASSWORD)).toMatchObject({ reason: 'too_many' });
});
