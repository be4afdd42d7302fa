/** node:vm: a context in the same isolate. No boundary at all (its authors say so), but what many begin with. */
import { createContext, runInContext } from 'node:vm';
import { guestApp } from './guest-app.ts';
import { announce, GUEST, hostWork, listen, targets } from './work.ts';

const context = createContext({
  hostJson: async (name: string, json: string) =>
    JSON.stringify(await hostWork(name, JSON.parse(json) as { text: string })),
});
const run = runInContext(
  `const host = async (name, input) => JSON.parse(await hostJson(name, JSON.stringify(input)));
  ${GUEST}
  async (method, json) => JSON.stringify(await { hello, call }[method](JSON.parse(json)))`,
  context,
) as (method: string, json: string) => Promise<string>;

announce({ ways: { 'node:vm': targets(await listen(guestApp(run).fetch)) } });
