/**
 * Mails as their readers see them, each in a frame of an opaque origin in which nothing can run and nothing is loaded: what stands in
 * a mail is an admin's, a module's or a stranger's.
 */
import { Hono, type Context } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../../../sandbox/contract/envelope.ts';
import { requirePermission } from '../../../auth/permissions.ts';
import { checkCsrf } from '../../guard.ts';
import type { TenantEnv } from '../../env.ts';
import { escapeHtml } from '../../filters.ts';
import { checkForm } from '../../forms.ts';
import { nothingHere } from '../../need.ts';
import type { Panel } from '../../panel.ts';
import { requestIdOf } from '../../request-id.ts';
import { findAccount } from '../../session.ts';
import { deliveryOf } from './rows.ts';
import { localeFrom, templateFrom } from './words.ts';

const POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
const Content = v.object({ message: v.string() });
const Draft = v.object({
  subject: v.optional(v.string(), ''),
  html: v.string(),
  plain: v.optional(v.string(), ''),
  locale: v.optional(v.string()),
  what: v.picklist(['template', 'layout']),
});

async function allow(panel: Panel, c: Context<TenantEnv>): Promise<void> {
  const account = await findAccount(panel, c, c.get('tenant').id, 'admin');
  if (account === undefined)
    throw new HostError('NOT_GRANTED', 'You are not signed in any more. Reload the page.');
  await checkCsrf(c.req.raw, account);
  requirePermission(account.permissions, 'notifications.manage');
}

function show(c: Context, html: string, status: 200 | 422 = 200): Response {
  c.header('Content-Security-Policy', POLICY);
  c.header('Referrer-Policy', 'no-referrer');
  c.header('X-DNS-Prefetch-Control', 'off');
  return c.html(html, status);
}

function notice(c: Context, text: string): Response {
  return show(
    c,
    `<!doctype html><body style="font:15px/1.5 system-ui,sans-serif;margin:24px;color:#667382">${escapeHtml(text)}</body>`,
    422,
  );
}

export function mailFrames(panel: Panel): Hono<TenantEnv> {
  const app = new Hono<TenantEnv>();
  const { notifications } = panel.deps;
  app.onError((error, c) => {
    if (error instanceof HostError && error.code !== 'INTERNAL') return notice(c, error.message);
    panel.deps.reportError(error, { id: requestIdOf(c), method: c.req.method, path: c.req.path });
    return notice(c, 'Something went wrong on our side.');
  });
  app.get('/deliveries/:id', async (c) => {
    await allow(panel, c);
    const { payload } = await deliveryOf(panel, c.get('tenant').id, c.req.param('id'));
    return show(c, v.parse(Content, payload).message);
  });
  app.get('/templates/:name', async (c) => {
    await allow(panel, c);
    const { id: tenantId, name: tenantName } = c.get('tenant');
    const locale = localeFrom(c.req.query('locale'));
    const template = await notifications.template(tenantId, templateFrom(c.req.param('name')), locale);
    return show(c, (await notifications.preview({ tenantId, tenantName, locale, template })).html);
  });
  app.post('/preview', async (c) => {
    await allow(panel, c);
    const form = await checkForm(c, Draft);
    if (!form.ok) return notice(c, 'The preview could not be read.');
    const { id: tenantId, name: tenantName } = c.get('tenant');
    const { what, html, subject, plain } = form.value;
    const locale = localeFrom(form.value.locale);
    const stored = await notifications.template(tenantId, 'InvoiceCreated', locale);
    const rendered = await notifications.preview(
      what === 'layout'
        ? { tenantId, tenantName, locale, template: stored, layout: html }
        : { tenantId, tenantName, locale, template: { subject, html, plain } },
    );
    return show(c, rendered.html);
  });
  app.all('*', nothingHere);
  return app;
}
