/** What this process knows of each installation's database: its names and its quota's state. */
import { installationNames } from '../../database/modules/names.ts';
import type { InstallationNames } from '../../database/modules/names.ts';
import type { ModulePools } from '../../database/modules/pools.ts';
import { Quota } from './quota.ts';

export interface InstallationDatabase {
  readonly names: InstallationNames;
  readonly quota: Quota;
}

/** As many as are remembered; a forgotten one measures anew. */
const REMEMBERED = 10_000;

export class InstallationDatabases {
  readonly #pools: ModulePools;
  readonly #deploymentId: string;
  readonly #known = new Map<string, InstallationDatabase>();

  constructor(pools: ModulePools, deploymentId: string) {
    this.#pools = pools;
    this.#deploymentId = deploymentId;
  }

  of(installationId: string): InstallationDatabase {
    const known = this.#known.get(installationId);
    if (known !== undefined) return known;
    const names = installationNames(this.#deploymentId, installationId);
    const made = { names, quota: new Quota(this.#pools, names) };
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < REMEMBERED) break;
      this.#known.delete(oldest);
    }
    this.#known.set(installationId, made);
    return made;
  }
}
