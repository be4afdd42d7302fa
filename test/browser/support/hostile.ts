/** Puts the hostile module into a host for real: packed with the sinkhole's address in it, signed, published, installed, enabled. */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bulkhead } from '../../../src/host.ts';
import { temporaryFolder } from '../../support/embedded.ts';
import { fixtureFolder, packFolder } from '../../support/modules.ts';
import type { Tenant } from '../../support/tenant.ts';
import type { Sinkhole } from './sinkhole.ts';

export const HOSTILE = 'Hostile';

/** @returns the installation's id */
export async function installHostile(
  bulkhead: Bulkhead,
  tenant: Tenant,
  sinkhole: Sinkhole,
): Promise<string> {
  using folder = temporaryFolder();
  await cp(fixtureFolder('Product/Hostile'), folder.path, { recursive: true });
  const entries = await readdir(folder.path, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, 'utf8');
    const addressed = text
      .replaceAll('udp.sinkhole.invalid', `127.0.0.1:${sinkhole.udpPort}`)
      .replaceAll('http://sinkhole.invalid', sinkhole.origin)
      .replaceAll('//sinkhole.invalid', sinkhole.origin.slice('http:'.length));
    await writeFile(path, addressed);
  }
  await bulkhead.publish(await packFolder(folder.path), { status: 'published' });
  return await tenant.installed(HOSTILE);
}
