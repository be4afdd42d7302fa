/**
 * Isolates begin as copies of one snapshot of the guest. What must differ between them does; where V8 can make no snapshot they begin
 * by running the guest's script, and where they run without a just-in-time compiler they begin all the same.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WARM_UP } from '../../sandbox/runner/warm-up.ts';
import { createSandbox } from '../../sandbox/supervisor/sandbox.ts';
import { createStage } from '../../sandbox/supervisor/stage.ts';
import { useForgedSandbox } from '../escape/sandbox-support.ts';
import { splitContext } from '../../sandbox/contract/invocation.ts';
import { CONTEXT, moduleScript, useSandbox } from '../support/sandbox.ts';

const IS_ROOT = process.getuid?.() === 0;
const { call, value } = useSandbox();
const withoutSnapshot = useForgedSandbox({ snapshot: '' });
const HELLO = moduleScript(
  `run() { return [v.safeParse(rules.integer(), '5').output, Object.isFrozen(Error), typeof WebAssembly]; }`,
);
const GREETING = { ok: true, value: { results: [{ value: [5, true, 'undefined'] }] } };

describe('the snapshot of the guest', () => {
  it('is made by this V8', async () => {
    const stage = await createStage(false);
    try {
      expect(statSync(join(stage.folder, 'guest.snapshot')).size).toBeGreaterThan(0);
    } finally {
      stage.remove();
    }
  });

  it('does not give two isolates the same random numbers', async () => {
    const draw = moduleScript('run() { return [Math.random(), Math.random()].join(); }');
    const drawn = await Promise.all(
      ['one', 'two', 'three'].map((key) => value(draw, 'run', [], { key: `random-${key}` })),
    );
    expect(new Set(drawn).size).toBe(3);
  });

  it('is warmed up by a module that does all it is there for', async () => {
    const { envelope } = await call(WARM_UP.script, 'run', [], { views: WARM_UP.views });
    expect(envelope).toMatchObject({
      ok: true,
      value: { results: [{ response: { kind: 'json', body: {} } }] },
    });
  });

  it('is not needed: without one the isolate runs the script, as closed as ever', async () => {
    const { envelope } = await withoutSnapshot.run(HELLO);
    expect(envelope).toEqual(GREETING);
    expect(withoutSnapshot.faults).toEqual([]);
  });

  it('is begun from without a just-in-time compiler too', async () => {
    const sandbox = await createSandbox({ ownUids: IS_ROOT, jitless: true });
    try {
      const { envelope } = await sandbox.invoke({
        group: { key: 'jitless', ...(IS_ROOT ? { uid: 180_002 } : {}) },
        module: {
          key: 'one',
          load: async () => ({ name: 'Product/Probe', script: HELLO, views: {}, lang: {}, heapMb: 64 }),
        },
        input: { ...splitContext(CONTEXT), calls: [{ target: { on: 'module' }, method: 'run', args: [] }] },
        limits: { entryMs: 2_000, cpuHardMs: 2_000, callsInFlight: 1, calls: 1 },
        wallMs: 10_000,
        onCall: async () => ({}),
        onNotify: () => undefined,
      });
      expect(envelope).toEqual(GREETING);
    } finally {
      await sandbox.close();
    }
  });
});
