/** isolated-vm in process, as its README shows it: an asynchronous entry for each call, References for what the host does. */
import ivm from 'isolated-vm';
import { type Call, guestApp } from './guest-app.ts';
import { announce, GUEST, hostWork, listen, targets } from './work.ts';

const TIMEOUT_MS = 1_000;
const isolate = new ivm.Isolate({ memoryLimit: 64 });
const context = await isolate.createContext();
const hostJson = new ivm.Reference(async (name: string, json: string) =>
  JSON.stringify(await hostWork(name, JSON.parse(json) as { text: string })),
);
await context.global.set('hostReference', hostJson);
await context.eval(`
  const host = async (name, input) =>
    JSON.parse(await hostReference.apply(undefined, [name, JSON.stringify(input)], { result: { promise: true } }));
  ${GUEST}
  globalThis.run = async (method, json) => JSON.stringify(await { hello, call }[method](JSON.parse(json)));`);
const run = await context.global.get('run', { reference: true });

const call: Call = async (method, json) => {
  const answer: unknown = await run.apply(undefined, [method, json], {
    result: { promise: true },
    timeout: TIMEOUT_MS,
  });
  if (typeof answer !== 'string') throw new Error('the guest answers with text');
  return answer;
};

announce({ ways: { 'isolated-vm in process': targets(await listen(guestApp(call).fetch)) } });
