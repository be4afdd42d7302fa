/** Reads what `node --cpu-prof` wrote: which functions took the processor's time, their callees not counted. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';

const Profile = v.object({
  nodes: v.array(
    v.object({
      id: v.number(),
      callFrame: v.object({ functionName: v.string(), url: v.string(), lineNumber: v.number() }),
    }),
  ),
  samples: v.array(v.number()),
  timeDeltas: v.array(v.number()),
});

export interface Hot {
  /** 'search (node.js:51)', or V8's own name in brackets. */
  readonly name: string;
  /** Of the time in which the process did something. */
  readonly share: number;
}

const IDLE = '(idle)';

function nameOf({
  functionName,
  url,
  lineNumber,
}: v.InferOutput<typeof Profile>['nodes'][number]['callFrame']): string {
  const file = url.split('/').slice(-2).join('/');
  return file === '' ? functionName : `${functionName || '(anonymous)'} (${file}:${lineNumber + 1})`;
}

/** The newest profile of a folder. @param window what counts of it, in microseconds since the process began: not its start, not its end */
export function hottest(
  folder: string,
  window: { readonly fromUs: number; readonly toUs: number },
  count: number,
): readonly Hot[] {
  const file = readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .sort()
    .at(-1);
  if (file === undefined) throw new Error(`no profile was written to ${folder}`);
  const { nodes, samples, timeDeltas } = v.parse(
    Profile,
    JSON.parse(readFileSync(join(folder, file), 'utf8')),
  );
  const names = new Map(nodes.map((node) => [node.id, nameOf(node.callFrame)]));
  const spentUs = new Map<string, number>();
  let passedUs = 0;
  let busyUs = 0;
  for (const [index, id] of samples.entries()) {
    const deltaUs = timeDeltas[index] ?? 0;
    passedUs += deltaUs;
    const name = names.get(id) ?? '';
    if (passedUs < window.fromUs || passedUs > window.toUs || name === IDLE) continue;
    busyUs += deltaUs;
    spentUs.set(name, (spentUs.get(name) ?? 0) + deltaUs);
  }
  return [...spentUs]
    .map(([name, us]) => ({ name, share: us / busyUs }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, count);
}
