/**
 * The process that holds the bare isolate of the guest's web tests. A process of its own, since isolated-vm needs Node started with
 * --no-node-snapshot. The first message is the script, each later one a function body; the answers are JSON or an error's text.
 */
import ivm from 'isolated-vm';
import * as v from 'valibot';

const HEAP_MB = 64;
const Message = v.object({ text: v.string() });

/** An Env whose timers fire at once and whose calls are kept in `calls`. */
const PRELUDE = `
  const calls = [];
  const timers = new Map();
  let lastTimer = 0;
  const fire = async (id) => { await null; const callback = timers.get(id); timers.delete(id); callback?.(); };
  let answer = async (_capability, _op, input) => ({ status: 200, statusText: 'OK', headers: [], body: { text: '{}' }, url: input.url, redirected: false });
  const env = {
    context: { seed: 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=', now: 0 },
    step: undefined,
    call: async (...call) => { calls.push(call); return answer(...call); },
    notify: (...call) => { calls.push(call); },
    setTimer: (callback, ms) => { const id = ++lastTimer; timers.set(id, callback); calls.push(['timer', ms]); void fire(id); return id; },
    clearTimer: (id) => { timers.delete(id); },
  };
`;

const isolate = new ivm.Isolate({ memoryLimit: HEAP_MB });
const context = await isolate.createContext();
let isReady = false;

async function run(text: string): Promise<unknown> {
  if (!isReady) {
    isReady = true;
    await context.eval(text);
    return context.eval(`${PRELUDE}; '"ready"'`);
  }
  return context.eval(`(async () => JSON.stringify(await (async () => { ${text} })()))()`, {
    promise: true,
    copy: true,
  });
}

process.on('message', (message) => {
  const { text } = v.parse(Message, message);
  run(text).then(
    (value) => process.send?.({ ok: true, text: typeof value === 'string' ? value : 'null' }),
    (error: unknown) =>
      process.send?.({
        ok: false,
        text: error instanceof Error ? (error.stack ?? error.message) : String(error),
      }),
  );
});
