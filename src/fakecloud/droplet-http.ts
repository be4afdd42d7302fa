/** The DigitalOcean-shaped API's envelopes: refusals, replays, lists in pages. */
import type { Context } from 'hono';
import { cloudError } from './area-error.ts';
import type { CloudEnv } from './env.ts';
import type { Answer, Replay } from './idempotency.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';

export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

export function refused(message: string): Answer {
  return { status: 422, body: { id: 'unprocessable_entity', message } };
}

export function answer(replay: Replay): Response {
  if (replay.kind === 'mismatch') {
    return cloudError(409, 'This Idempotency-Key was used before with a different body; use a new key.');
  }
  const headers: Record<string, string> = replay.replayed ? { 'idempotent-replayed': 'true' } : {};
  return Response.json(replay.answer.body, { status: replay.answer.status, headers });
}

/** A list in DigitalOcean's envelope: `?page` from 1, `?per_page` 20 by default. */
export function page(c: Context<CloudEnv>, name: string, all: readonly unknown[]): Response {
  const pageSize = Math.min(
    Math.max(1, Number(c.req.query('per_page') ?? 20) || 20),
    FAKECLOUD_LIMITS.pageSize,
  );
  const number = Math.max(1, Math.trunc(Number(c.req.query('page') ?? 1)) || 1);
  const last = Math.max(1, Math.ceil(all.length / pageSize));
  const at = (target: number) => {
    const url = new URL(c.req.url);
    url.searchParams.set('page', String(target));
    return url.href;
  };
  const pages = number < last ? { next: at(number + 1), last: at(last) } : {};
  const links = last > 1 ? { pages } : {};
  return c.json({
    [name]: all.slice((number - 1) * pageSize, number * pageSize),
    links,
    meta: { total: all.length },
  });
}
