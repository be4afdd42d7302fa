/**
 * A module's folder judged as a store would judge its package, on the author's machine: packed, read strictly, run once in a throw-away
 * sandbox and compared with its type. Signed with a key that nobody keeps, since mistakes are looked for and not the publisher.
 */
import type { Declaration } from '../../sandbox/contract/declaration.ts';
import { type Manifest, parseManifest } from '../../sandbox/contract/manifest.ts';
import { createSandbox, type Sandbox } from '../../sandbox/supervisor/sandbox.ts';
import { readDeclaration } from '../catalog/declare.ts';
import { createRunnerIds } from '../catalog/runner-ids.ts';
import { readable, readFolder } from '../kit/conformance/readable.ts';
import { generateKeyPair } from '../store/package/keys.ts';
import { readPackage } from '../store/package/read.ts';
import { signPackage } from '../store/package/sign.ts';

export interface Checked {
  readonly manifest: Manifest;
  readonly declaration: Declaration;
}

/** @param shared a sandbox that is there already. @throws HostError BAD_INPUT with what to mend */
export async function checkPackage(unsigned: Uint8Array, shared?: Sandbox): Promise<Checked> {
  const { privateKeyPem: privateKey } = generateKeyPair();
  const contents = await readPackage(await signPackage(unsigned, { publisher: 'nobody', privateKey }));
  const manifest = parseManifest(contents.manifest);
  const runnerIds = createRunnerIds();
  const { ownUids } = runnerIds;
  const sandbox = shared ?? (await createSandbox({ ownUids, onFault: () => undefined }));
  try {
    return { manifest, declaration: await readDeclaration({ sandbox, runnerIds }, contents, manifest) };
  } finally {
    if (shared === undefined) await sandbox.close();
  }
}

/** What a store takes and an author would regret: texts, templates and jobs that are named and not there, and what the host warns of. */
export async function doubtsOf(folder: string, checked: Checked): Promise<string[]> {
  const read = { ...checked, ...readFolder(folder) };
  const doubts = [...checked.declaration.warnings];
  for (const { applies, run } of readable) {
    if (applies?.(read) === false) continue;
    await run(read).catch((error: unknown) =>
      doubts.push(error instanceof Error ? error.message : String(error)),
    );
  }
  return doubts;
}
