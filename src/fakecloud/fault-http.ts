/**
 * Plays faults on HTTP, around the handlers of every area, and writes the ledger's line of each request. One middleware
 * holds both because what happened to an answer is part of its line.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context, MiddlewareHandler, Next } from 'hono';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { areaError } from './area-error.ts';
import type { CloudEnv } from './env.ts';
import type { Fault, Faults } from './faults.ts';
import type { Ledger, RequestEntry } from './ledger.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';

const GARBAGE = '{"droplet":{"id":12<html><body>\u0000\ufffd upstream \u0000';

/** Enters the request in the ledger, then answers it, with the first matching fault played on it. */
export function recordedAndFaulty(ledger: Ledger, faults: Faults): MiddlewareHandler<CloudEnv> {
  return async (c, next) => {
    const entry = ledger.begin(c.req.method, c.req.path, c.req.header('idempotency-key') ?? null);
    c.set('entry', entry);
    const fault = faults.take(c.req.method, c.req.path);
    if (fault === null) await next();
    else await play(c, next, fault, entry);
    if (entry.outcome === 'dropped') return;
    entry.outcome = 'answered';
    entry.status = c.res.status;
  };
}

async function play(c: Context<CloudEnv>, next: Next, fault: Fault, entry: RequestEntry): Promise<void> {
  entry.fault = fault.id;
  if (fault.when === 'after' || fault.kind === 'delay') {
    if (fault.when === 'before') await sleep(fault.delayMs);
    await next();
    if (fault.when === 'before') return;
  }
  if (fault.kind !== 'slow-body') await sleep(fault.delayMs);
  switch (fault.kind) {
    case 'delay':
      return;
    case 'drop':
      entry.outcome = 'dropped';
      c.env.outgoing.destroy();
      replace(c, RESPONSE_ALREADY_SENT);
      return;
    case 'status':
      replace(c, areaError(c.req.path, fault.status, `Fault ${fault.id} is switched on in the fake cloud.`));
      return;
    case 'garbage':
      replace(c, new Response(GARBAGE, { headers: { 'content-type': 'application/json' } }));
      return;
    case 'slow-body':
      replace(c, await slowed(c.res, fault.delayMs));
      return;
  }
}

/** Hono merges the headers of the answer it had into the next one; a fault's answer must not carry the real one's. */
function replace(c: Context<CloudEnv>, response: Response): void {
  c.res = undefined;
  c.res = response;
}

/** The same answer in parts, spread over `delayMs`. */
async function slowed(response: Response, delayMs: number): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const partBytes = Math.max(1, Math.ceil(bytes.length / FAKECLOUD_LIMITS.slowBodyParts));
  const pauseMs = delayMs / FAKECLOUD_LIMITS.slowBodyParts;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await sleep(pauseMs);
      if (sent < bytes.length) controller.enqueue(bytes.subarray(sent, sent + partBytes));
      sent += partBytes;
      if (sent >= bytes.length) controller.close();
    },
  });
  const headers = new Headers(response.headers);
  headers.set('content-length', String(bytes.length));
  return new Response(response.status === 204 ? null : body, { status: response.status, headers });
}
