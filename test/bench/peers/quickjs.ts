/** quickjs-emscripten: an interpreter in WebAssembly, in process. */
import { getQuickJS } from 'quickjs-emscripten';
import { type Call, guestApp } from './guest-app.ts';
import { announce, GUEST, hostWork, listen, targets } from './work.ts';

const vm = (await getQuickJS()).newContext();
const waiting = new Map<number, (json: string) => void>();

function define(name: string, work: Parameters<typeof vm.newFunction>[1]): void {
  const made = vm.newFunction(name, work);
  vm.setProp(vm.global, name, made);
  made.dispose();
}

define('sendResult', (id, json) => {
  const number = vm.getNumber(id);
  waiting.get(number)?.(vm.getString(json));
  waiting.delete(number);
});
define('hostJson', (name, json) => {
  const promise = vm.newPromise();
  const settle = async (asked: string, input: string): Promise<void> => {
    const value = await hostWork(asked, JSON.parse(input) as { text: string });
    const handle = vm.newString(JSON.stringify(value));
    promise.resolve(handle);
    handle.dispose();
    vm.runtime.executePendingJobs();
    promise.dispose();
  };
  void settle(vm.getString(name), vm.getString(json));
  return promise.handle.dup();
});
vm.unwrapResult(
  vm.evalCode(`
  const host = async (name, input) => JSON.parse(await hostJson(name, JSON.stringify(input)));
  ${GUEST}
  globalThis.run = async (id, method, json) => sendResult(id, JSON.stringify(await { hello, call }[method](JSON.parse(json))));`),
).dispose();
const run = vm.getProp(vm.global, 'run');
let sequence = 0;

const call: Call = (method, json) =>
  new Promise((resolve) => {
    const id = ++sequence;
    waiting.set(id, resolve);
    const args = [vm.newNumber(id), vm.newString(method), vm.newString(json)];
    vm.unwrapResult(vm.callFunction(run, vm.undefined, ...args)).dispose();
    for (const arg of args) arg.dispose();
    vm.runtime.executePendingJobs();
  });

announce({ ways: { 'quickjs-emscripten': targets(await listen(guestApp(call).fetch)) } });
