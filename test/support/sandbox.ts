/** A real sandbox with a module given as text, for tests of the boundary itself: no database, no tenant. */
import { afterAll, beforeAll } from 'vitest';
import type { Envelope } from '../../sandbox/contract/envelope.ts';
import {
  type InvocationContext,
  type InvocationOutput,
  splitContext,
} from '../../sandbox/contract/invocation.ts';
import { BARE_CONTEXT } from './context.ts';
import { createSandbox, type InvokeOutcome, type Sandbox } from '../../sandbox/supervisor/sandbox.ts';

export interface CallOptions {
  readonly group?: string;
  readonly key?: string;
  readonly wallMs?: number;
  readonly entryMs?: number;
  readonly cpuHardMs?: number;
  readonly signal?: AbortSignal;
  readonly context?: Partial<InvocationContext>;
  readonly onCall?: (path: string, input: unknown) => Promise<unknown>;
  readonly onNotify?: (path: string, input: unknown) => void;
  readonly views?: Readonly<Record<string, string>>;
}

/** `members` become the class body of a Product module; `prelude` stands above the class. */
export function moduleScript(members: string, prelude = ''): string {
  return `const bulkhead = require('bulkhead'); const { Product, v, rules, json, sql } = bulkhead;
${prelude}
class Probe extends Product { ${members} }
module.exports = { default: Probe, controllers: {} };`;
}

export const CONTEXT: InvocationContext = {
  ...BARE_CONTEXT,
  capabilities: ['db', 'http', 'tasks', 'secrets', 'logs', 'views', 'service', 'steps', 'crypt'],
};

export interface TestSandbox {
  readonly sandbox: () => Sandbox;
  call(
    script: string,
    method: string,
    args?: readonly unknown[],
    options?: CallOptions,
  ): Promise<InvokeOutcome>;
  /** The value of the one call, or the error's code and message as an Error. */
  value(script: string, method: string, args?: readonly unknown[], options?: CallOptions): Promise<unknown>;
}

let sequence = 0;

/** One sandbox for all tests of a file. Each distinct script gets an isolate of its own. */
export function useSandbox(): TestSandbox {
  let current: Sandbox | undefined;
  const keys = new Map<string, string>();
  const faults: unknown[] = [];
  beforeAll(async () => {
    current = await createSandbox({
      ownUids: process.getuid?.() === 0,
      onFault: (fault) => faults.push(fault),
    });
  });
  afterAll(async () => current?.close());
  const sandbox = (): Sandbox => {
    if (current === undefined) throw new Error('the sandbox is there inside tests only');
    return current;
  };
  const keyOf = (script: string): string => {
    const key = keys.get(script) ?? `module-${++sequence}`;
    keys.set(script, key);
    return key;
  };
  const call: TestSandbox['call'] = (script, method, args = [], options = {}) =>
    sandbox().invoke({
      group: { key: options.group ?? 'tenant', ...(process.getuid?.() === 0 ? { uid: 180_000 } : {}) },
      module: {
        key: options.key ?? keyOf(script),
        load: async () => ({
          name: 'Product/Probe',
          script,
          views: options.views ?? {},
          lang: { en: { hello: 'Hello {name}' }, pl: { hello: 'Cześć {name}' } },
          heapMb: 64,
        }),
      },
      input: {
        ...splitContext({ ...CONTEXT, ...options.context }),
        calls: [{ target: { on: 'module' }, method, args }],
      },
      limits: {
        entryMs: options.entryMs ?? 1_000,
        cpuHardMs: options.cpuHardMs ?? 2_000,
        callsInFlight: 64,
        calls: 1_000,
      },
      wallMs: options.wallMs ?? 10_000,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onCall: options.onCall ?? (async () => ({})),
      onNotify: options.onNotify ?? (() => undefined),
    });
  return {
    sandbox,
    call,
    value: async (...parameters) => valueOf((await call(...parameters)).envelope),
  };
}

export function valueOf(envelope: Envelope<InvocationOutput>): unknown {
  if (!envelope.ok) throw new Error(`${envelope.error.code}: ${envelope.error.message}`);
  const result = envelope.value.results.at(-1);
  return result !== undefined && 'value' in result ? result.value : result?.response;
}
