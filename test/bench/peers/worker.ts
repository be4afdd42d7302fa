/** worker_threads: one worker, a message each way, as most pools of workers do it. */
import { Worker } from 'node:worker_threads';
import { type Call, guestApp } from './guest-app.ts';
import { announce, GUEST, hostWork, listen, targets } from './work.ts';

type Message =
  | { readonly kind: 'result'; readonly id: number; readonly json: string }
  | { readonly kind: 'host'; readonly id: number; readonly name: string; readonly json: string };

const worker = new Worker(
  `const { parentPort } = require('node:worker_threads');
  const waiting = new Map(); let sequence = 0;
  const host = (name, input) => new Promise((resolve) => {
    const id = ++sequence; waiting.set(id, resolve);
    parentPort.postMessage({ kind: 'host', id, name, json: JSON.stringify(input) });
  });
  ${GUEST}
  parentPort.on('message', async (message) => {
    if (message.kind === 'answer') { waiting.get(message.id)(JSON.parse(message.json)); waiting.delete(message.id); return; }
    const result = await { hello, call }[message.method](JSON.parse(message.json));
    parentPort.postMessage({ kind: 'result', id: message.id, json: JSON.stringify(result) });
  });`,
  { eval: true },
);
const waiting = new Map<number, (json: string) => void>();
let sequence = 0;

async function answer({ id, name, json }: Extract<Message, { kind: 'host' }>): Promise<void> {
  const value = await hostWork(name, JSON.parse(json) as { text: string });
  worker.postMessage({ kind: 'answer', id, json: JSON.stringify(value) }, []);
}

worker.on('message', (message: Message) => {
  if (message.kind === 'host') {
    void answer(message);
    return;
  }
  waiting.get(message.id)?.(message.json);
  waiting.delete(message.id);
});
const call: Call = (method, json) =>
  new Promise((resolve) => {
    const id = ++sequence;
    waiting.set(id, resolve);
    worker.postMessage({ kind: 'call', id, method, json }, []);
  });

announce({ ways: { worker_threads: targets(await listen(guestApp(call).fetch)) } });
