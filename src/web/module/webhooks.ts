/**
 * Webhooks: deliveries from other systems to a module, at an unguessable address. No cookie counts here. Size and rate are limited before the
 * module is entered; what it answers keeps nothing but its status, its body and a media type, and HTML comes without any right.
 */
import { senderKey } from '../../auth/addresses.ts';
import type { Context, Hono } from 'hono';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { ModuleResponse } from '../../../sandbox/contract/invocation.ts';
import type { RootEnv } from '../env.ts';
import { statusOf } from '../errors.ts';
import { completeHeaders, sendComplete } from '../headers.ts';
import { WEB_LIMITS } from '../limits.ts';
import { minuteLimit } from '../minute-limit.ts';
import type { Panel } from '../panel.ts';
import { requestIdOf } from '../request-id.ts';
import { moduleRequest } from './request.ts';

const HOOK_ID = /^[A-Za-z0-9_-]{20,80}$/;
const TYPES = {
  html: 'text/html; charset=utf-8',
  json: 'application/json',
  text: 'text/plain; charset=utf-8',
  bytes: 'application/octet-stream',
} as const;
export function webhooks(app: Hono<RootEnv>, panel: Panel): void {
  const allowed = minuteLimit(WEB_LIMITS.hooksPerMinute);
  app.on(['GET', 'POST'], '/hooks/:id', async (c) => {
    try {
      const hookId = c.req.param('id');
      if (!HOOK_ID.test(hookId)) throw new HostError('NOT_FOUND', 'There is no such address.');
      const nowMs = panel.deps.now();
      // The address first: with made-up ids it must not fill the counters until they are dropped, its own with them.
      if (!allowed(`address ${senderKey(c.get('address'))}`, nowMs) || !allowed(`hook ${hookId}`, nowMs))
        throw new HostError('LIMIT', 'Too many deliveries; try again in a minute.');
      const request = await moduleRequest(c, { url: c.req.url, headers: 'webhook' });
      const response = await panel.deps.modules.webhook({ hookId, request, address: c.get('address') });
      return reply(panel, c, response);
    } catch (error) {
      return refused(panel, c, error);
    }
  });
}

function refused(panel: Panel, c: Context<RootEnv>, error: unknown): Response {
  const id = requestIdOf(c);
  const code = error instanceof HostError ? error.code : 'INTERNAL';
  if (code === 'INTERNAL') panel.deps.reportError(error, { id, method: c.req.method, path: '/hooks' });
  if (code === 'LIMIT') c.header('Retry-After', '60');
  // The sender is a machine of somebody else's: a code and a number, no detail of the module.
  return c.json({ error: { code, id } }, statusOf(code));
}

function bodyStatus(status: number): number {
  return Number.isInteger(status) && status >= 200 && status <= 599 ? status : 200;
}

function reply(panel: Panel, c: Context, response: ModuleResponse): Response {
  if (response.kind === 'redirect') throw new HostError('BAD_OUTPUT', 'A webhook cannot redirect.');
  const status = bodyStatus(response.status);
  const headers = completeHeaders(panel.site.secure, {
    'content-type': TYPES[response.kind],
    'content-security-policy': "sandbox; default-src 'none'",
  });
  const body = bodyOf(response);
  const sizeBytes = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  if (sizeBytes > WEB_LIMITS.hookAnswerBytes)
    throw new HostError('BAD_OUTPUT', `A webhook answers with at most ${WEB_LIMITS.hookAnswerBytes} bytes.`);
  return sendComplete(c, status === 204 || status === 304 ? null : body, headers, status);
}

function bodyOf(response: Exclude<ModuleResponse, { kind: 'redirect' }>): string | Uint8Array<ArrayBuffer> {
  if (response.kind === 'html') return response.html;
  if (response.kind === 'text') return response.text;
  if (response.kind === 'json') return JSON.stringify(response.body ?? null);
  return new Uint8Array(Buffer.from(response.base64, 'base64'));
}
