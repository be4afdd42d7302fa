/**
 * The load: some connections, each with one request under way, for some seconds. It writes the same bytes again and again and reads no
 * more of an answer than it must, so that it takes as little as possible of a machine that it shares with what it measures.
 */
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { percentile } from './stats.ts';
import type { LoadPlan, LoadResult } from './load.ts';

const LATENCIES_KEPT = 200_000;
const SHOWN_CHARACTERS = 500;
const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNKS_END = Buffer.from('\r\n0\r\n\r\n');

const plan = JSON.parse(await text(process.stdin)) as LoadPlan;
const request = Buffer.from(requestText(plan));
const latencies: number[] = [];
const sockets: Socket[] = [];
let requests = 0;
let running = true;

function requestText({ path, port, headers, body }: LoadPlan): string {
  const lines = Object.entries({
    host: `127.0.0.1:${port}`,
    ...headers,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** Where the first answer in the bytes ends; undefined while it is incomplete. */
function endOfAnswer(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const length = /content-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const end = headEnd + HEAD_END.length + Number(length);
    return end <= bytes.length ? end : undefined;
  }
  const last = bytes.indexOf(CHUNKS_END, headEnd + 2);
  return last < 0 ? undefined : last + CHUNKS_END.length;
}

function finish(result: LoadResult | { error: string }): void {
  running = false;
  for (const socket of sockets) socket.destroy();
  process.stdout.write(JSON.stringify(result));
}

function open(): void {
  const socket = connect({ host: '127.0.0.1', port: plan.port, noDelay: true });
  let held: Buffer | undefined;
  let sentAt = 0;
  const send = (): void => {
    if (!running) return;
    sentAt = performance.now();
    socket.write(request);
  };
  socket.on('connect', send);
  socket.on('data', (chunk: Buffer) => {
    if (!running) return;
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk]);
    const end = endOfAnswer(bytes);
    if (end === undefined) {
      held = bytes;
      return;
    }
    held = undefined;
    if (bytes[9] !== 0x32 || !bytes.includes(plan.expect)) {
      finish({ error: `unexpected answer: ${bytes.toString('utf8').slice(0, SHOWN_CHARACTERS)}` });
      return;
    }
    requests++;
    if (latencies.length < LATENCIES_KEPT) latencies.push(performance.now() - sentAt);
    if (plan.pauseMs === undefined) send();
    else setTimeout(send, plan.pauseMs);
  });
  const lost = (why: string): void => {
    if (running) finish({ error: `connection lost: ${why}` });
  };
  socket.on('error', (error) => lost(error.message));
  socket.on('close', () => lost('closed'));
  sockets.push(socket);
}

for (let number = 0; number < plan.connections; number++) open();
const startedAt = performance.now();
setTimeout(() => {
  if (!running) return;
  const seconds = (performance.now() - startedAt) / 1_000;
  finish({
    requests,
    seconds,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  });
}, plan.seconds * 1_000);
