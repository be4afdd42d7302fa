/** The author's commands, as functions and as a process: what they write, what they say, and that a mistake leaves nothing behind. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parseManifest } from '../../sandbox/contract/manifest.ts';
import { keygenToFile } from '../../src/cli/commands/module-keygen.ts';
import { newModule, titleOf } from '../../src/cli/commands/module-new.ts';
import { packToFile } from '../../src/cli/commands/module-pack.ts';
import { signFile } from '../../src/cli/commands/module-sign.ts';
import { verifyFile } from '../../src/cli/commands/module-verify.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { MANIFEST, TINY, withFolder } from '../store/package/fixture.ts';
import { refused } from '../store/package/refused.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const run = promisify(execFile);
const silent = (): void => undefined;

/** Runs `work` in an empty folder and gives what was said as one text. */
async function inFolder(
  work: (folder: string, say: (text: string) => void) => Promise<void>,
): Promise<string> {
  const said: string[] = [];
  await withFolder({}, (folder) => work(folder, (text) => said.push(text)));
  return said.join('\n');
}

function cli(cwd: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return run(process.execPath, [MAIN, 'module', ...args], { cwd }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

describe('new', () => {
  it.each(['Product', 'Plugin', 'Payment', 'Notification'])(
    'makes a %s that packs and has a valid manifest',
    async (type) => {
      await inFolder(async (folder) => {
        const made = await newModule(`${type}/DNSZones`, path.join(folder, 'zones'), silent);
        const file = await packToFile(made, { out: path.join(folder, 'zones.tgz') }, silent);
        await keygenToFile(path.join(folder, 'key.pem'), silent);
        const signed = await signFile(file, { key: path.join(folder, 'key.pem'), publisher: 'acme' }, silent);
        const contents = await readPackage(await readFile(signed));
        expect(parseManifest(contents.manifest)).toMatchObject({
          name: 'DNSZones',
          type,
          title: 'DNS Zones',
        });
        expect(contents.manifest).toMatchObject({ $schema: './module.schema.json' });
        expect(JSON.parse(await readFile(path.join(made, 'module.schema.json'), 'utf8'))).toHaveProperty(
          'properties.permissions',
        );
        expect([...contents.source.keys()].sort()).toEqual(expect.arrayContaining(['DNSZones.ts']));
        expect(
          [...contents.source.values(), ...Object.values(contents.views), contents.readme].join('\n'),
        ).not.toMatch(/MyCloudService|My Cloud Service/);
      });
    },
  );

  it('names what is expected for a name that is none, and writes nothing', async () => {
    await inFolder(async (folder) => {
      const dir = path.join(folder, 'made');
      await expect(newModule('MyModule', dir, silent)).rejects.toThrow('such as Product/MyCloudService');
      await expect(newModule('Prodct/MyModule', dir, silent)).rejects.toThrow('Did you mean "Product"?');
      await expect(newModule('Product/my-module', dir, silent)).rejects.toThrow(
        'module.json: name: a StudlyCase name',
      );
      await expect(newModule('Product/..', dir, silent)).rejects.toThrow('module.json: name');
      expect(await readdir(folder)).toEqual([]);
    });
  });

  it('refuses a folder with something in it and leaves it alone', async () => {
    await inFolder(async (folder) => {
      await writeFile(path.join(folder, 'mine.txt'), 'mine');
      await expect(newModule('Plugin/Notes', folder, silent)).rejects.toThrow('is not empty');
      expect(await readdir(folder)).toEqual(['mine.txt']);
    });
  });

  it('fills an empty folder', async () => {
    await inFolder(async (folder) => {
      const dir = path.join(folder, 'notes');
      await mkdir(dir);
      await newModule('Plugin/Notes', dir, silent);
      expect(await readdir(dir)).toContain('Notes.ts');
      expect(await readdir(folder)).toEqual(['notes']);
    });
  });

  it('makes words of a name', () => {
    expect(['MyCloudService', 'DNSZones', 'Slack2'].map(titleOf)).toEqual([
      'My Cloud Service',
      'DNS Zones',
      'Slack2',
    ]);
  });
});

describe('keygen', () => {
  it('writes a key that only its owner can read, and says the public half', async () => {
    const said = await inFolder(async (folder, say) => {
      const file = await keygenToFile(path.join(folder, 'key.pem'), say);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      expect(await readFile(file, 'utf8')).toContain('BEGIN PRIVATE KEY');
    });
    expect(said).toMatch(/public key {3}[\w-]{43}\nfingerprint {2}(?:[0-9a-f]{4} ?){8}/);
    expect(said).not.toContain('BEGIN');
  });

  it('never replaces a key', async () => {
    await inFolder(async (folder) => {
      const file = path.join(folder, 'key.pem');
      await writeFile(file, 'the only copy');
      await expect(keygenToFile(file, silent)).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await readFile(file, 'utf8')).toBe('the only copy');
    });
  });
});

describe('pack', () => {
  it('tells a bad manifest before it packs', async () => {
    const manifest = JSON.stringify({ ...MANIFEST, permissions: { htpp: {} } });
    await withFolder(
      { ...TINY, 'module.json': manifest, 'Tiny.ts': 'does not even parse {' },
      async (module) => {
        const out = path.join(module, 'out.tgz');
        await expect(packToFile(module, { out }, silent)).rejects.toThrow(
          'permissions: unknown key "htpp". Did you mean "http"?',
        );
        expect(await readdir(module)).not.toContain('out.tgz');
      },
    );
  });

  it('tells a folder that is no module', async () => {
    await inFolder(async (folder) => {
      await expect(packToFile(folder, {}, silent)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });
  });
});

describe('sign and verify', () => {
  it('says who signed a package, what is in it, and what it asks for in plain words', async () => {
    const permissions = {
      http: { hosts: [{ value: 'api.example.com', optional: true, reason: 'Weather in red' }] },
    };
    const module = { ...TINY, 'module.json': JSON.stringify({ ...MANIFEST, permissions }) };
    const said = await inFolder(async (folder, say) => {
      await withFolder(module, async (source) => {
        const file = await packToFile(source, { out: path.join(folder, 'tiny.tgz') }, silent);
        const key = await keygenToFile(path.join(folder, 'key.pem'), silent);
        await verifyFile(await signFile(file, { key, publisher: 'acme' }, silent), say);
      });
    });
    expect(said).toContain('acme/Plugin/Tiny 1.2.0: Tiny');
    expect(said).toMatch(/signed by {4}acme, key (?:[0-9a-f]{4} ?){8}\n/);
    expect(said).toContain('views/client_area.liquid');
    expect(said).toContain('Send requests to api.example.com. (medium risk, optional)');
    expect(said).toContain('Why: Weather in red');
  });

  it('a reason that could paint the terminal is refused before anything is packed', async () => {
    const permissions = { http: { hosts: [{ value: 'api.example.com', reason: 'Weather \u001b[31mred' }] } };
    const module = { ...TINY, 'module.json': JSON.stringify({ ...MANIFEST, permissions }) };
    await withFolder(module, async (source) => {
      const out = path.join(source, 'tiny.tgz');
      await expect(packToFile(source, { out }, silent)).rejects.toThrow('without control characters');
    });
  });

  it('refuses a package that was changed after it was signed', async () => {
    await inFolder(async (folder, say) => {
      await withFolder(TINY, async (source) => {
        const file = await packToFile(source, { out: path.join(folder, 'tiny.tgz') }, silent);
        expect((await refused(verifyFile(file, say))).reason).toBe('SIGNATURE_MISSING');
        const key = await keygenToFile(path.join(folder, 'key.pem'), silent);
        const signed = await signFile(file, { key, publisher: 'acme' }, silent);
        expect((await refused(signFile(signed, { key, publisher: 'acme' }, silent))).reason).toBe(
          'ALREADY_SIGNED',
        );
        const bytes = await readFile(signed);
        await writeFile(signed, bytes.subarray(0, bytes.length - 9));
        await refused(verifyFile(signed, say));
      });
    });
  });
});

describe('the command line', () => {
  it('ends with 1 and one clear line for a mistake, and with 0 otherwise', async () => {
    await inFolder(async (folder) => {
      const missing = await cli(folder, 'verify', 'nothing.tgz');
      expect(missing).toMatchObject({ code: 1, stdout: '' });
      expect(missing.stderr.trim()).toBe('There is no file nothing.tgz.');
      const made = await cli(folder, 'new', 'Plugin/Notes');
      expect(made.code).toBe(0);
      expect(await readdir(path.join(folder, 'modules/Plugin/Notes'))).toContain('module.json');
    });
  });
});
