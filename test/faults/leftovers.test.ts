/** Staging folders that killed hosts left: removed by the next, and only those. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stagePrefix, sweepStages } from '../../sandbox/supervisor/leftovers.ts';
import { IS_ROOT, temporaryFolder } from '../support/embedded.ts';

const OTHER_UID = 65_533;
const [, pid = '', started = '', namespace = ''] =
  /^bulkhead-stage-(\d+)-(\d+)-(\d+)-$/.exec(stagePrefix()) ?? [];

function stage(parent: string, owner: string): string {
  const name = `bulkhead-stage-${owner}-Ab12yZ`;
  mkdirSync(join(parent, name));
  writeFileSync(join(parent, name, 'runner.mjs'), '', { mode: 0o444 });
  chmodSync(join(parent, name), 0o555);
  return name;
}

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe.skipIf(process.platform !== 'linux')('a start', () => {
  it('removes the staging folders of dead processes, one whose pid is used again too', async () => {
    using folder = temporaryFolder();
    const dead = stage(folder.path, `${await deadPid()}-${started}-${namespace}`);
    const reused = stage(folder.path, `${pid}-${Number(started) - 1}-${namespace}`);
    expect(sweepStages(folder.path).sort()).toEqual([dead, reused].sort());
    expect(readdirSync(folder.path)).toEqual([]);
  });

  it('leaves alone what is in use, or cannot be judged', async () => {
    using folder = temporaryFolder();
    const gone = await deadPid();
    const kept = [
      stage(folder.path, `${pid}-${started}-${namespace}`),
      stage(folder.path, `${gone}-${started}-${Number(namespace) + 1}`),
      stage(folder.path, `${gone}-0-${namespace}`),
    ];
    writeFileSync(join(folder.path, `bulkhead-stage-${gone}-${started}-${namespace}-Ab12y0`), '');
    mkdirSync(join(folder.path, 'bulkhead-stage-Ab12yZ'));
    expect(sweepStages(folder.path)).toEqual([]);
    expect(readdirSync(folder.path)).toEqual(expect.arrayContaining([...kept, 'bulkhead-stage-Ab12yZ']));
  });

  it.skipIf(!IS_ROOT)('leaves another user’s alone (needs root to make one)', async () => {
    using folder = temporaryFolder();
    const name = stage(folder.path, `${await deadPid()}-${started}-${namespace}`);
    chownSync(join(folder.path, name), OTHER_UID, OTHER_UID);
    expect(sweepStages(folder.path)).toEqual([]);
  });
});
