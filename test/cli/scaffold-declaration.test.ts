/** What `module new` makes, read the way a store reads it: in the throw-away sandbox, where a route without a controller is an error. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { parseManifest } from '../../sandbox/contract/manifest.ts';
import { readDeclaration } from '../../src/catalog/declare.ts';
import { createRunnerIds } from '../../src/catalog/runner-ids.ts';
import { newModule } from '../../src/cli/commands/module-new.ts';
import { packModule } from '../../src/store/package/pack.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { signTiny, withFolder } from '../store/package/fixture.ts';
import { useSandbox } from '../support/sandbox.ts';

const { sandbox } = useSandbox();

it.each([
  ['Product', ['servers', 'configuration'], ['FreshController']],
  ['Plugin', ['dashboard'], ['FreshController']],
  ['Payment', [], []],
  ['Notification', [], []],
])('a new %s is accepted without a warning', async (type, routes, controllers) => {
  await withFolder({}, async (folder) => {
    const made = await newModule(`${type}/Fresh`, path.join(folder, 'fresh'), () => undefined);
    const contents = await readPackage(await signTiny(await packModule(made)));
    const manifest = parseManifest(contents.manifest);
    const deps = { sandbox: sandbox(), runnerIds: createRunnerIds() };
    const declaration = await readDeclaration(deps, contents, manifest);
    expect(declaration.warnings).toEqual([]);
    expect(declaration.web_routes.map(({ name }) => name)).toEqual(routes);
    expect(Object.keys(declaration.controllers)).toEqual(controllers);
  });
});
