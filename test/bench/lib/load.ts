/** Load from a process of its own, so that making requests does not take the measured server's time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export interface Target {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Must stand in each answer. */
  readonly expect: string;
}

export interface LoadPlan extends Target {
  readonly connections: number;
  readonly seconds: number;
  /** Between an answer and the next request of its connection; none for as many as possible. */
  readonly pauseMs?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const SCRIPT = fileURLToPath(new URL('load-child.ts', import.meta.url));

/** @throws Error with the first answer that was not as expected */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const child = spawn(process.execPath, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  child.stdin.end(JSON.stringify(plan));
  const said = await text(child.stdout);
  await exited;
  const result = JSON.parse(said) as LoadResult | { readonly error: string };
  if ('error' in result) throw new Error(`${plan.path}: ${result.error}`);
  return result;
}
