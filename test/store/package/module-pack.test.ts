/** The command around packing: what it writes, and that it writes nothing when anything is wrong. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { packToFile } from '../../../src/cli/commands/module-pack.ts';
import { readPackage } from '../../../src/store/package/read.ts';
import { PUBLISHER, TINY, withFolder } from './fixture.ts';
import { refused } from './refused.ts';

it('pack writes a signed package when it is given a key and a publisher', async () => {
  await withFolder(TINY, (module) =>
    withFolder({ 'key.pem': PUBLISHER.keys.privateKeyPem }, async (folder) => {
      const said: string[] = [];
      const out = path.join(folder, 'tiny.tgz');
      const options = { out, key: path.join(folder, 'key.pem'), publisher: 'acme-hosting' };
      expect(await packToFile(module, options, (text) => said.push(text))).toBe(out);
      const pkg = await readPackage(await readFile(out));
      expect(pkg.publisher).toBe('acme-hosting');
      expect(said.join('\n')).toContain(`acme-hosting/Plugin/Tiny 1.2.0, signed with ${pkg.fingerprint}`);
      expect(await readdir(folder)).toEqual(['key.pem', 'tiny.tgz']);
    }),
  );
});

it('pack leaves an older file as it was when the module cannot be packed', async () => {
  await withFolder({ ...TINY, 'Tiny.ts': 'export default class {' }, (module) =>
    withFolder({}, async (folder) => {
      const out = path.join(folder, 'tiny.tgz');
      await writeFile(out, 'older');
      expect((await refused(packToFile(module, { out }, () => undefined))).reason).toBe('BUILD_FAILED');
      expect(await readFile(out, 'utf8')).toBe('older');
      expect(await readdir(folder)).toEqual(['tiny.tgz']);
    }),
  );
});

it('pack leaves nothing half written when the place cannot be written to', async () => {
  await withFolder(TINY, (module) =>
    withFolder({ 'tiny.tgz/in-the-way': '' }, async (folder) => {
      await expect(
        packToFile(module, { out: path.join(folder, 'tiny.tgz') }, () => undefined),
      ).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
      expect(await readdir(folder)).toEqual(['tiny.tgz']);
    }),
  );
});

it('pack asks for key and publisher together', async () => {
  await expect(packToFile('.', { key: 'key.pem' }, () => undefined)).rejects.toThrow(
    '--key and --publisher together',
  );
});
