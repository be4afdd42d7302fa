/** A host to be killed: starts two runners, one idle and one stuck in a native call, prints their pids and waits. */
import { splitContext } from '../../sandbox/contract/invocation.ts';
import { createSandbox } from '../../sandbox/supervisor/sandbox.ts';
import { BARE_CONTEXT } from '../support/context.ts';

const sandbox = await createSandbox({ ownUids: process.getuid?.() === 0 });

function run(group: string, body: string): Promise<unknown> {
  return sandbox.invoke({
    group: { key: group, ...(process.getuid?.() === 0 ? { uid: 180_002 } : {}) },
    module: {
      key: group,
      load: async () => ({
        name: 'Product/Probe',
        script: `const { Product } = require('bulkhead'); module.exports = { default: class Probe extends Product { run() { ${body} } } };`,
        views: {},
        lang: {},
        heapMb: 64,
      }),
    },
    input: { ...splitContext(BARE_CONTEXT), calls: [{ target: { on: 'module' }, method: 'run', args: [] }] },
    limits: { entryMs: 60_000, cpuHardMs: 60_000, callsInFlight: 1, calls: 1 },
    wallMs: 60_000,
    onCall: async () => ({}),
    onNotify: () => undefined,
  });
}

await run('idle', 'return 1;');
void run('stuck', 'return new Array(2 ** 32 - 2).indexOf(1);');
setTimeout(() => process.stdout.write(JSON.stringify(sandbox.stats().map(({ pid }) => pid))), 800);
setInterval(() => undefined, 1_000);
