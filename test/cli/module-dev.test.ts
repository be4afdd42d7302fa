/** `bulkhead module dev`: what its author sees after a save, and after a save that is wrong. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { newModule } from '../../src/cli/commands/module-new.ts';
import { startDev } from '../../src/cli/dev/dev.ts';
import { withFolder } from '../store/package/fixture.ts';
import { kitDatabases } from '../support/kit.ts';
import { until } from '../support/until.ts';

const databases = await kitDatabases();

it('serves the module, loads it again on a save, keeps the version before one that is wrong, and shows its log', async () => {
  await withFolder({}, async (parent) => {
    const folder = await newModule('Plugin/Notes', path.join(parent, 'notes'), () => undefined);
    const said: string[] = [];
    const has = (pattern: RegExp) =>
      until(String(pattern), async () => said.some((line) => pattern.test(line)));
    const dev = await startDev({ ...databases, folder, port: 0, say: (line) => said.push(line) });
    try {
      await has(/Plugin\/Notes 1\.0\.0-dev\.\d+ is in force/);
      await has(/info +activate Module activated successfully/);
      expect((await fetch(`${dev.server.url}/t/dev/admin`)).status).toBe(200);
      expect(said.join('\n')).toContain(`admin@dev.example   ${dev.state.password}`);

      const view = path.join(folder, 'views/admin_area/dashboard.liquid');
      said.length = 0;
      await writeFile(view, `${await readFile(view, 'utf8')}<p>Changed just now</p>`);
      await has(/is in force/);
      const { db, modules } = dev.server.bulkhead.panel;
      const { id } = await db.selectFrom('installations').select('id').executeTakeFirstOrThrow();
      const page = await modules.adminPage({
        installationId: id,
        path: 'dashboard',
        request: {
          method: 'GET',
          url: 'http://127.0.0.1/dashboard',
          headers: [],
          body: { text: '' },
          params: {},
        },
        account: { id, kind: 'admin', permissions: ['*'] },
      });
      expect(page.kind === 'html' ? page.html : '').toContain('Changed just now');

      said.length = 0;
      await writeFile(path.join(folder, 'Notes.ts'), 'export default class {');
      await has(/Not loaded, the version before it goes on: .*Notes\.ts/s);
    } finally {
      await dev.close();
    }
  });
});
