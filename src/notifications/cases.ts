/** What the pages do with notifications: send a test, send again, write rules, templates and the layout. Mistakes of a form are values. */
import type { Kysely } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import type { FormErrors, FormResult, NotificationCases } from '../web/deps.ts';
import { channelAccepts } from './message.ts';
import { markSent, resend } from './deliveries.ts';
import { NOTIFICATION_LIMITS } from './limits.ts';
import { sendTest } from './notifications.ts';
import { readSenders } from './rules.ts';
import { DEFAULT_LAYOUT, readLayout, readTemplate, render, SAMPLE } from './templates.ts';

export function createNotificationCases(db: Kysely<Tables>): NotificationCases {
  return {
    sendTest: (input) => testMessage(db, input),
    resend: async ({ tenantId, deliveryId }) => ({ deliveryId: await resend(db, tenantId, deliveryId) }),
    markSent: ({ tenantId, deliveryId }) => markSent(db, tenantId, deliveryId),
    addRule: (input) => addRule(db, input),
    switchRule: async ({ tenantId, ruleId, active }) => {
      await db
        .updateTable('notification_rules')
        .set({ active })
        .where('tenant_id', '=', tenantId)
        .where('id', '=', ruleId)
        .execute();
    },
    removeRule: async ({ tenantId, ruleId }) => {
      await db
        .deleteFrom('notification_rules')
        .where('tenant_id', '=', tenantId)
        .where('id', '=', ruleId)
        .execute();
    },
    template: (tenantId, name, locale) => readTemplate(db, tenantId, name, locale),
    layout: (tenantId, locale) => readLayout(db, tenantId, locale),
    saveTemplate: (input) => saveTemplate(db, input),
    saveLayout: (input) => saveLayout(db, input),
    resetTemplate: async ({ tenantId, name, locale }) => {
      await db
        .deleteFrom('notification_templates')
        .where('tenant_id', '=', tenantId)
        .where('name', '=', name)
        .where('locale', '=', locale)
        .execute();
    },
    resetLayout: async ({ tenantId, locale }) => {
      await db
        .deleteFrom('notification_layouts')
        .where('tenant_id', '=', tenantId)
        .where('name', '=', DEFAULT_LAYOUT)
        .where('locale', '=', locale)
        .execute();
    },
    preview: async ({ tenantId, tenantName, template, layout, locale }) => {
      const around = layout ?? (await readLayout(db, tenantId, locale)).html;
      return render(template, around, { ...SAMPLE, tenant: { name: tenantName } });
    },
  };
}

async function testMessage(
  db: Kysely<Tables>,
  input: Parameters<NotificationCases['sendTest']>[0],
): Promise<FormResult<{ deliveryId: string }>> {
  const sender = (await readSenders(db, input.tenantId)).find(
    ({ instanceId }) => instanceId === input.instanceId,
  );
  if (sender === undefined)
    return { ok: false, errors: { instance: ['This sender is switched off or gone.'] } };
  const wrong = channelAccepts(sender.channel, sender.channel === 'chat' ? sender.name : input.to);
  if (wrong !== undefined) return { ok: false, errors: { to: [wrong] } };
  return { ok: true, deliveryId: await sendTest(db, input) };
}

async function addRule(
  db: Kysely<Tables>,
  input: Parameters<NotificationCases['addRule']>[0],
): Promise<FormResult> {
  const { tenantId, instanceIds } = input;
  if (instanceIds.length === 0) return { ok: false, errors: { senders: ['Choose at least one sender.'] } };
  return db.transaction().execute(async (trx): Promise<FormResult> => {
    await trx.selectFrom('tenants').select('id').where('id', '=', tenantId).forNoKeyUpdate().execute();
    const own = await trx
      .selectFrom('instances')
      .select('id')
      .where('tenant_id', '=', tenantId)
      .where('id', 'in', [...instanceIds])
      .execute();
    if (own.length !== new Set(instanceIds).size)
      throw new HostError('NOT_FOUND', 'There is no such sender.');
    const { count } = await trx
      .selectFrom('notification_rules')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('tenant_id', '=', tenantId)
      .executeTakeFirstOrThrow();
    if (count >= NOTIFICATION_LIMITS.rules)
      throw new HostError('LIMIT', `There may be ${NOTIFICATION_LIMITS.rules} rules.`);
    const rule = await trx
      .insertInto('notification_rules')
      .values({
        tenant_id: tenantId,
        category: input.category,
        event: input.event,
        min_level: input.minLevel,
      })
      .returning('id')
      .executeTakeFirstOrThrow();
    await trx
      .insertInto('notification_rule_senders')
      .values(own.map(({ id }) => ({ rule_id: rule.id, instance_id: id })))
      .execute();
    return { ok: true };
  });
}

const Words = v.pipe(
  v.string(),
  v.maxLength(
    NOTIFICATION_LIMITS.templateCharacters,
    `Use at most ${NOTIFICATION_LIMITS.templateCharacters} characters.`,
  ),
);
const NotEmpty = v.pipe(
  Words,
  v.check((text) => text.trim() !== '', 'This field is required.'),
);
const TemplateForm = v.object({ subject: NotEmpty, html: NotEmpty, plain: NotEmpty });

/** Tries the template on sample values: what cannot be rendered is not stored. */
function mistakesOf(work: () => void): FormErrors | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof HostError && error.code === 'BAD_INPUT') return { html: [error.message] };
    throw error;
  }
}

async function saveTemplate(
  db: Kysely<Tables>,
  input: Parameters<NotificationCases['saveTemplate']>[0],
): Promise<FormResult> {
  const { tenantId, name, locale, template } = input;
  const parsed = v.safeParse(TemplateForm, template);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    return { ok: false, errors: { [v.getDotPath(issue) ?? '']: [issue.message] } };
  }
  const words = parsed.output;
  const errors = mistakesOf(() => void render(words, '{{ content }}', SAMPLE));
  if (errors !== undefined) return { ok: false, errors };
  const change = { ...words, layout: DEFAULT_LAYOUT, updated_at: new Date() };
  await db
    .insertInto('notification_templates')
    .values({ tenant_id: tenantId, name, locale, ...change })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name', 'locale']).doUpdateSet(change))
    .execute();
  return { ok: true };
}

async function saveLayout(
  db: Kysely<Tables>,
  { tenantId, locale, html }: Parameters<NotificationCases['saveLayout']>[0],
): Promise<FormResult> {
  const parsed = v.safeParse(NotEmpty, html);
  if (!parsed.success) return { ok: false, errors: { html: [parsed.issues[0].message] } };
  if (!/\{\{-?\s*content\s*-?\}\}/.test(html))
    return {
      ok: false,
      errors: { html: ['The layout needs {{ content }}: the place where a message stands.'] },
    };
  const sample = { subject: 's', html: '<p>c</p>', plain: 'c' };
  const errors = mistakesOf(() => void render(sample, html, SAMPLE));
  if (errors !== undefined) return { ok: false, errors };
  const change = { html, updated_at: new Date() };
  await db
    .insertInto('notification_layouts')
    .values({ tenant_id: tenantId, name: DEFAULT_LAYOUT, locale, ...change })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'name', 'locale']).doUpdateSet(change))
    .execute();
  return { ok: true };
}
