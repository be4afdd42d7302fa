/** Notifications: who carries messages, what was sent (and once more), by which rules, and what it looks like. */
import * as v from 'valibot';
import { CATEGORIES, isCategory, LEVELS } from '../../../notifications/categories.ts';
import { EVENT_NOTICES, NOTICED_EVENTS } from '../../../notifications/occasions.ts';
import { readRules } from '../../../notifications/rules.ts';
import { LOCALES, localeOf, TEMPLATE_NAMES } from '../../../notifications/templates.ts';
import type { FormErrors } from '../../deps.ts';
import type { AccountApp, AccountContext } from '../../env.ts';
import { checkForm, idFrom, type RawForm } from '../../forms.ts';
import { need } from '../../need.ts';
import { withNote, type Note } from '../../notes.ts';
import { accountPage, type Panel } from '../../panel.ts';
import { DELIVERY_STATUSES, deliveryOf, readDeliveries, readSenderRows } from './rows.ts';
import { localeFrom, templateFrom } from './words.ts';

type Tab = 'senders' | 'deliveries' | 'rules' | 'templates';
const TABS: readonly { readonly key: Tab; readonly path: string; readonly icon: string }[] = [
  { key: 'senders', path: '', icon: 'fas fa-paper-plane' },
  { key: 'deliveries', path: '/deliveries', icon: 'fas fa-inbox' },
  { key: 'rules', path: '/rules', icon: 'fas fa-code-branch' },
  { key: 'templates', path: '/templates', icon: 'fas fa-file-lines' },
];
interface Refused {
  readonly errors: FormErrors;
  readonly values: RawForm;
}

function homeOf(c: AccountContext): string {
  return `${c.get('tenantBase')}/admin/notifications`;
}

async function page(
  panel: Panel,
  c: AccountContext,
  tab: Tab,
  data: Readonly<Record<string, unknown>> & { readonly title?: string; readonly template?: string },
  refused?: Refused,
): Promise<Response> {
  const t = c.get('t');
  const home = homeOf(c);
  const tabs = TABS.map(({ key, path, icon }) => ({
    title: t(`notifications.${key}`),
    href: home + path,
    icon,
    active: key === tab,
  }));
  const shown = { errors: refused?.errors ?? {}, values: refused?.values ?? {} };
  return accountPage(
    panel,
    c,
    `admin/notifications/${data.template ?? tab}`,
    { title: t('notifications.title'), home, tabs, ...shown, ...data },
    refused === undefined ? 200 : 422,
  );
}

function done(c: AccountContext, path: string, note: Note): Response {
  return c.redirect(withNote(homeOf(c) + path, note), 303);
}

async function sendersPage(panel: Panel, c: AccountContext, refused?: Refused): Promise<Response> {
  need(c, 'notifications.manage');
  const senders = await readSenderRows(panel, c.get('tenant').id);
  return page(panel, c, 'senders', { senders, email: c.get('account').email }, refused);
}

const TestForm = v.object({ instance: v.string(), to: v.optional(v.pipe(v.string(), v.trim()), '') });

async function sendTest(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const form = await checkForm(c, TestForm);
  if (!form.ok) return sendersPage(panel, c, form);
  const { instance, to } = form.value;
  const sent = await panel.deps.notifications.sendTest({
    tenantId: c.get('tenant').id,
    instanceId: idFrom(instance),
    to,
  });
  if (!sent.ok) return sendersPage(panel, c, { errors: sent.errors, values: { instance, to } });
  return done(c, `/deliveries/${sent.deliveryId}`, 'test-queued');
}

async function deliveriesPage(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const status = DELIVERY_STATUSES.find((each) => each === c.req.query('status'));
  const named = c.req.query('category');
  const category = isCategory(named) ? named : undefined;
  const sender = c.req.query('sender') ?? '';
  const to = (c.req.query('to') ?? '').slice(0, 100);
  const [{ rows, paging }, senders] = await Promise.all([
    readDeliveries(panel, c, {
      status,
      category,
      to,
      instanceId: sender === '' ? undefined : idFrom(sender),
    }),
    readSenderRows(panel, c.get('tenant').id),
  ]);
  const filter = { status, category, sender, to };
  const choices = { statuses: DELIVERY_STATUSES, categories: CATEGORIES, senders };
  return page(panel, c, 'deliveries', { deliveries: rows, paging, filter, ...choices });
}

async function deliveryPage(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const delivery = await deliveryOf(panel, c.get('tenant').id, c.req.param('id'));
  const home = homeOf(c);
  return page(panel, c, 'deliveries', {
    template: 'delivery',
    title: delivery.subject,
    crumb: { href: `${home}/deliveries`, title: c.get('t')('notifications.deliveries') },
    delivery,
    frame:
      delivery.channel === 'email' ? `${c.get('tenantBase')}/m/mail/deliveries/${delivery.id}` : undefined,
  });
}

async function resend(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const { id } = await deliveryOf(panel, c.get('tenant').id, c.req.param('id'));
  const { deliveryId } = await panel.deps.notifications.resend({
    tenantId: c.get('tenant').id,
    deliveryId: id,
  });
  return done(c, `/deliveries/${deliveryId}`, 'resent');
}

async function markSent(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const { id } = await deliveryOf(panel, c.get('tenant').id, c.req.param('id'));
  await panel.deps.notifications.markSent({ tenantId: c.get('tenant').id, deliveryId: id });
  return done(c, `/deliveries/${id}`, 'marked-sent');
}

async function rulesPage(panel: Panel, c: AccountContext, refused?: Refused): Promise<Response> {
  need(c, 'notifications.manage');
  const tenantId = c.get('tenant').id;
  const [rules, senders] = await Promise.all([
    readRules(panel.deps.db, tenantId),
    readSenderRows(panel, tenantId),
  ]);
  const named = rules.map((rule) => ({
    ...rule,
    senders: senders.filter(({ id }) => rule.instanceIds.includes(id)),
  }));
  const events = NOTICED_EVENTS.map((name) => ({ name, category: EVENT_NOTICES[name].category }));
  return page(
    panel,
    c,
    'rules',
    { rules: named, senders, events, categories: CATEGORIES, levels: LEVELS },
    refused,
  );
}

const RuleForm = v.object({
  category: v.picklist(CATEGORIES),
  event: v.optional(v.string(), ''),
  level: v.picklist(LEVELS),
  senders: v.optional(
    v.union([
      v.pipe(
        v.string(),
        v.transform((one) => [one]),
      ),
      v.array(v.string()),
    ]),
    [],
  ),
});

async function addRule(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const form = await checkForm(c, RuleForm);
  if (!form.ok) return rulesPage(panel, c, form);
  const { category, event, level, senders } = form.value;
  const noticed = NOTICED_EVENTS.find((name) => name === event) ?? null;
  const added = await panel.deps.notifications.addRule({
    tenantId: c.get('tenant').id,
    category: noticed === null ? category : EVENT_NOTICES[noticed].category,
    event: noticed,
    minLevel: level,
    instanceIds: senders.map((id) => idFrom(id)),
  });
  if (!added.ok) return rulesPage(panel, c, { errors: added.errors, values: {} });
  return done(c, '/rules', 'rule-saved');
}

async function switchRule(panel: Panel, c: AccountContext, active: boolean): Promise<Response> {
  need(c, 'notifications.manage');
  const ruleId = idFrom(c.req.param('id'));
  await panel.deps.notifications.switchRule({ tenantId: c.get('tenant').id, ruleId, active });
  return done(c, '/rules', active ? 'rule-on' : 'rule-off');
}

async function removeRule(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const ruleId = idFrom(c.req.param('id'));
  await panel.deps.notifications.removeRule({ tenantId: c.get('tenant').id, ruleId });
  return done(c, '/rules', 'rule-removed');
}

async function templatesPage(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const tenantId = c.get('tenant').id;
  const changed = await panel.deps.db
    .selectFrom('notification_templates')
    .select(['name', 'locale'])
    .where('tenant_id', '=', tenantId)
    .execute();
  const layouts = await panel.deps.db
    .selectFrom('notification_layouts')
    .select('locale')
    .where('tenant_id', '=', tenantId)
    .execute();
  const templates = TEMPLATE_NAMES.map((name) => ({
    name,
    key: `notifications.t_${name}`,
    locales: LOCALES.map((locale) => ({
      locale,
      changed: changed.some((row) => row.name === name && row.locale === locale),
    })),
  }));
  const layout = LOCALES.map((locale) => ({ locale, changed: layouts.some((row) => row.locale === locale) }));
  return page(panel, c, 'templates', { templates, layout });
}

async function templatePage(panel: Panel, c: AccountContext, refused?: Refused): Promise<Response> {
  need(c, 'notifications.manage');
  const { id, locale: tenantLocale } = c.get('tenant');
  const locale = localeFrom(c.req.query('locale') ?? localeOf(tenantLocale));
  const isLayout = c.req.param('name') === 'layout';
  const t = c.get('t');
  const frames = `${c.get('tenantBase')}/m/mail`;
  const common = {
    crumb: { href: `${homeOf(c)}/templates`, title: t('notifications.templates') },
    locale,
    frames,
  };
  if (isLayout) {
    const layout = await panel.deps.notifications.layout(id, locale);
    const draft = { html: refused?.values['html'] ?? layout.html };
    const own = { template: 'template', title: t('notifications.layout'), name: 'layout', isLayout };
    const frame = `${frames}/templates/InvoiceCreated?locale=${locale}`;
    return page(panel, c, 'templates', { ...common, ...own, draft, changed: layout.changed, frame }, refused);
  }
  const name = templateFrom(c.req.param('name'));
  const template = await panel.deps.notifications.template(id, name, locale);
  return page(
    panel,
    c,
    'templates',
    {
      ...common,
      template: 'template',
      title: t(`notifications.t_${name}`),
      name,
      isLayout,
      draft: { ...template, ...refused?.values },
      changed: template.changed,
      frame: `${frames}/templates/${name}?locale=${locale}`,
    },
    refused,
  );
}

const WordsForm = v.object({
  subject: v.optional(v.string(), ''),
  html: v.optional(v.string(), ''),
  plain: v.optional(v.string(), ''),
});

async function saveTemplate(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const form = await checkForm(c, WordsForm);
  if (!form.ok) return templatePage(panel, c, form);
  const tenantId = c.get('tenant').id;
  const locale = localeFrom(c.req.query('locale'));
  const { notifications } = panel.deps;
  const saved =
    c.req.param('name') === 'layout'
      ? await notifications.saveLayout({ tenantId, locale, html: form.value.html })
      : await notifications.saveTemplate({
          tenantId,
          name: templateFrom(c.req.param('name')),
          locale,
          template: form.value,
        });
  if (!saved.ok) return templatePage(panel, c, { errors: saved.errors, values: form.value });
  return done(c, `/templates/${c.req.param('name') ?? ''}?locale=${locale}`, 'template-saved');
}

async function resetTemplate(panel: Panel, c: AccountContext): Promise<Response> {
  need(c, 'notifications.manage');
  const tenantId = c.get('tenant').id;
  const locale = localeFrom(c.req.query('locale'));
  const name = c.req.param('name') ?? '';
  if (name === 'layout') await panel.deps.notifications.resetLayout({ tenantId, locale });
  else await panel.deps.notifications.resetTemplate({ tenantId, name: templateFrom(name), locale });
  return done(c, `/templates/${name}?locale=${locale}`, 'template-reset');
}

export function notificationPages(app: AccountApp, panel: Panel): void {
  app.get('/notifications', (c) => sendersPage(panel, c));
  app.post('/notifications/test', (c) => sendTest(panel, c));
  app.get('/notifications/deliveries', (c) => deliveriesPage(panel, c));
  app.get('/notifications/deliveries/:id', (c) => deliveryPage(panel, c));
  app.post('/notifications/deliveries/:id/resend', (c) => resend(panel, c));
  app.post('/notifications/deliveries/:id/sent', (c) => markSent(panel, c));
  app.get('/notifications/rules', (c) => rulesPage(panel, c));
  app.post('/notifications/rules', (c) => addRule(panel, c));
  app.post('/notifications/rules/:id/on', (c) => switchRule(panel, c, true));
  app.post('/notifications/rules/:id/off', (c) => switchRule(panel, c, false));
  app.post('/notifications/rules/:id/remove', (c) => removeRule(panel, c));
  app.get('/notifications/templates', (c) => templatesPage(panel, c));
  app.get('/notifications/templates/:name', (c) => templatePage(panel, c));
  app.post('/notifications/templates/:name', (c) => saveTemplate(panel, c));
  app.post('/notifications/templates/:name/reset', (c) => resetTemplate(panel, c));
}
