/**
 * Which uid a sandbox process gets. Under root each tenant has one of its own, equal to no other tenant's and to no account of the
 * machine (a process of the same uid could read another's memory). Without root there is no second uid: doctor and
 * docs/security.md say what that means.
 */
import { randomInt } from 'node:crypto';

export interface RunnerIds {
  readonly ownUids: boolean;
  /** `number` is tenants.runner_number. */
  tenant(number: number): { readonly uid?: number };
  /** For reading a stranger's declaration: never that of a tenant, nor of another reading at the same time. */
  throwAway(): { readonly uid?: number };
  /** For a process that is started before anybody needs it: never used before, so that nothing of an earlier one can wait for it. */
  readonly spare: () => { readonly uid?: number };
}

const TENANT_BASE = 200_000;
const THROW_AWAY_BASE = 190_000;
const THROW_AWAY_COUNT = 10_000;
const SPARE_BASE = 1_900_000_000;
const SPARE_COUNT = 200_000_000;

export function createRunnerIds(isRoot: boolean = process.getuid?.() === 0): RunnerIds {
  let next = 0;
  let nextSpare = randomInt(SPARE_COUNT);
  return {
    ownUids: isRoot,
    tenant: (number) => (isRoot ? { uid: TENANT_BASE + number } : {}),
    throwAway: () => (isRoot ? { uid: THROW_AWAY_BASE + (next++ % THROW_AWAY_COUNT) } : {}),
    spare: () => (isRoot ? { uid: SPARE_BASE + (nextSpare++ % SPARE_COUNT) } : {}),
  };
}
