/**
 * Runs guest code in an isolate that has nothing but ECMAScript: bundled without a platform, so that a use of anything of Node's would be a
 * ReferenceError there.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import * as v from 'valibot';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HOST = fileURLToPath(new URL('guest-web-isolate.ts', import.meta.url));
const Answer = v.object({ ok: v.boolean(), text: v.string() });

/** A bundle as one script that leaves its exports in the global `guest`; without comments and indentation, names as they are. */
export async function bundleGuest(entry: string): Promise<string> {
  const result = await build({
    stdin: { contents: entry, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    write: false,
    platform: 'neutral',
    mainFields: ['module', 'main'],
    format: 'iife',
    globalName: 'guest',
    target: 'es2024',
    minifyWhitespace: true,
    minifySyntax: true,
    logLevel: 'silent',
  });
  return result.outputFiles[0]?.text ?? '';
}

export interface BareIsolate extends AsyncDisposable {
  /** Runs a function body (may await; sees `guest`, `env`, `calls`) and gives back what it returned, through JSON. */
  run(body: string): Promise<unknown>;
}

export async function bareIsolate(script: string): Promise<BareIsolate> {
  const child = fork(HOST, [], { execArgv: ['--no-node-snapshot'] });
  const exit = once(child, 'exit').then(([code, signal]: unknown[]): never => {
    throw new Error(`the process of the isolate ended: ${String(code ?? signal)}`);
  });
  exit.catch(() => undefined);
  const ask = async (text: string): Promise<unknown> => {
    const answered = once(child, 'message');
    child.send({ text });
    const [message]: unknown[] = await Promise.race([answered, exit]);
    const answer = v.parse(Answer, message);
    if (!answer.ok) throw new Error(answer.text);
    return JSON.parse(answer.text) as unknown;
  };
  await ask(script);
  return {
    run: ask,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
