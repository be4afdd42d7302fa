/**
 * What the attacks on the sandbox share: a real sandbox, an attacker and a bystander in another group, and, for the day when the
 * isolate or the whole runner is lost, staging folders in which the guest or the runner itself is the attacker's.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import type { InvokeOutcome, InvokeRequest, Sandbox } from '../../sandbox/supervisor/sandbox.ts';
import { sandboxOn } from '../../sandbox/supervisor/sandbox.ts';
import { createStage, type Stage } from '../../sandbox/supervisor/stage.ts';
import { splitContext } from '../../sandbox/contract/invocation.ts';
import { CONTEXT, moduleScript, type TestSandbox } from '../support/sandbox.ts';

export const IS_ROOT = process.getuid?.() === 0;
export const TENANT_UID = 180_000;

const QUIET = moduleScript("hello() { return 'hello'; }");

/** The bystander is served, by the process that served it before. */
export async function bystanderIsWell({ value }: TestSandbox): Promise<void> {
  expect(await value(QUIET, 'hello', [], { group: 'bystander' })).toBe('hello');
}

/** Code of the error that an invocation ended with; 'ok' if with none. */
export function codeOf({ envelope }: InvokeOutcome): string {
  return envelope.ok ? 'ok' : envelope.error.code;
}

export interface Forgery {
  /** In place of the runner's script. */
  readonly runner?: string;
  /** In place of the guest's. */
  readonly guest?: string;
  /** In place of V8's snapshot of the guest; that of a forged guest is empty. */
  readonly snapshot?: '';
}

/** A staging folder with the attacker's files in it. */
export async function forgedStage({ runner, guest, snapshot }: Forgery): Promise<Stage> {
  const stage = await createStage(IS_ROOT);
  chmodSync(stage.folder, 0o755);
  const replace = (name: string, text: string): void => {
    chmodSync(join(stage.folder, name), 0o644);
    writeFileSync(join(stage.folder, name), text);
  };
  if (runner !== undefined) replace('runner.mjs', runner);
  if (guest !== undefined) replace('guest.js', guest);
  if (guest !== undefined || snapshot !== undefined) replace('guest.snapshot', '');
  chmodSync(stage.folder, 0o555);
  return stage;
}

export interface ForgedCall {
  readonly group?: string;
  readonly key?: string;
  readonly wallMs?: number;
  readonly calls?: number;
  readonly callsInFlight?: number;
  readonly onCall?: InvokeRequest['onCall'];
  readonly onNotify?: InvokeRequest['onNotify'];
}

export interface ForgedSandbox {
  readonly sandbox: () => Sandbox;
  /** What the sandbox told its operator. */
  readonly faults: readonly { readonly message: string }[];
  /** Invokes a module whose text the forgery reads as it likes. */
  run(script: string, options?: ForgedCall): Promise<InvokeOutcome>;
}

/** A sandbox whose guest or runner is the attacker's, for all tests of a file. */
export function useForgedSandbox(forgery: Forgery): ForgedSandbox {
  let current: Sandbox | undefined;
  let sequence = 0;
  const faults: { message: string }[] = [];
  beforeAll(async () => {
    current = sandboxOn(await forgedStage(forgery), {
      ownUids: IS_ROOT,
      onFault: (fault) => faults.push(fault),
    });
  });
  afterAll(async () => current?.close());
  const sandbox = (): Sandbox => {
    if (current === undefined) throw new Error('the sandbox is there inside tests only');
    return current;
  };
  return {
    sandbox,
    faults,
    run: async (script, options = {}) =>
      sandbox().invoke({
        group: { key: options.group ?? 'forged', ...(IS_ROOT ? { uid: TENANT_UID } : {}) },
        module: {
          key: options.key ?? `module-${++sequence}`,
          load: async () => ({ name: 'Product/Forged', script, views: {}, lang: {}, heapMb: 64 }),
        },
        input: { ...splitContext(CONTEXT), calls: [{ target: { on: 'module' }, method: 'run', args: [] }] },
        limits: {
          entryMs: 1_000,
          cpuHardMs: 2_000,
          callsInFlight: options.callsInFlight ?? 64,
          calls: options.calls ?? 1_000,
        },
        wallMs: options.wallMs ?? 3_000,
        onCall: options.onCall ?? (async () => ({})),
        onNotify: options.onNotify ?? (() => undefined),
      }),
  };
}

/**
 * A runner that was taken over: it answers loads, and does with each invocation what the module's text says, as native code could:
 * `api.send(kind, id, name, body)`, `api.write(bytes)`, `api.mark(number)`, `api.id` and `api.lastNumber`.
 */
export const FORGED_RUNNER = `
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
const socket = new Socket({ fd: 3, readable: true, writable: true });
const scripts = new Map();
let held = Buffer.alloc(0);
const frame = (kind, id, name, body) => {
  const nameBytes = Buffer.from(name), bodyBytes = Buffer.from(body), head = Buffer.alloc(11);
  head.writeUInt32LE(7 + nameBytes.length + bodyBytes.length, 0);
  head.writeUInt8(kind, 4);
  head.writeUInt32LE(id >>> 0, 5);
  head.writeUInt16LE(nameBytes.length & 0xffff, 9);
  return Buffer.concat([head, nameBytes, bodyBytes]);
};
const api = {
  frame,
  socket,
  stopReading: () => socket.pause(),
  write: (bytes) => socket.write(bytes),
  send: (kind, id, name = '', body = '') => socket.write(frame(kind, id, name, body)),
  mark: (number) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(number >>> 0); writeSync(4, bytes, 0, 4, 0); },
  result: (id, envelope = { ok: true, value: { results: [{ value: 'forged' }] } }, usage = '1 1 1') =>
    api.send(103, id, usage, typeof envelope === 'string' ? envelope : JSON.stringify(envelope)),
};
socket.on('data', (chunk) => {
  held = Buffer.concat([held, chunk]);
  while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
    const length = held.readUInt32LE(0);
    const kind = held.readUInt8(4), id = held.readUInt32LE(5), nameEnd = 11 + held.readUInt16LE(9);
    const name = held.toString('utf8', 11, nameEnd), body = held.toString('utf8', nameEnd, 4 + length);
    held = held.subarray(4 + length);
    if (kind === 1) { scripts.set(name, JSON.parse(body).script); api.send(102, 0, name, '{"ok":true,"value":{}}'); }
    if (kind === 3) { api.id = id; new Function('api', scripts.get(name))(api); }
    if (kind === 4) api.onAnswer?.(id, name, body);
    if (kind === 6) api.send(106, id, '', '{"isolates":0,"heapBytes":0}');
  }
});
socket.on('close', () => process.exit(0));
`;
