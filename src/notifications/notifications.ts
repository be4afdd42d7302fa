/**
 * Telling people something: a host event, a module's message, or a test. Recipients and senders are found, the template is rendered for
 * each, and every pair of the two becomes a delivery. Senders of a chat get a message once, whoever it is for.
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { inTransaction, type Db } from '../jobs/task.ts';
import type { Category, Level } from './categories.ts';
import { queueDelivery } from './deliveries.ts';
import type { SendPayload } from './message.ts';
import { ownPerson, recipientsOf, type Recipient } from './recipients.ts';
import { EVENT_NOTICES, type NoticedEvent } from './occasions.ts';
import { readSenders, sendersFor, type Sender } from './rules.ts';
import {
  hostLayout,
  hostTemplate,
  localeOf,
  readLayout,
  readTemplate,
  render,
  type Locale,
  type Rendered,
  type TemplateName,
  type TemplateValues,
} from './templates.ts';

interface TenantRow {
  readonly id: string;
  readonly name: string;
  readonly locale: Locale;
}

/** What is to be said, whoever says it. */
interface Saying {
  readonly template: TemplateName;
  readonly event: Readonly<Record<string, unknown>>;
  readonly subject?: string;
  readonly message?: string;
  /** In place of the template's own HTML. */
  readonly html?: string | undefined;
}

interface About {
  readonly category: Category | null;
  readonly eventName: string | null;
  readonly level: Level;
  /** Shown by senders: the module's name, or 'System' (the guide's word). */
  readonly module: string;
  readonly sourceId: string | null;
  readonly onceKey: string | null;
}

async function readTenant(db: Kysely<Tables>, tenantId: string): Promise<TenantRow> {
  const row = await db
    .selectFrom('tenants')
    .select(['id', 'name', 'locale'])
    .where('id', '=', tenantId)
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such tenant.');
  return { ...row, locale: localeOf(row.locale) };
}

/** Everybody in the chat reads it: no name of one of them stands above it. */
const ROOM: Recipient = { accountId: '', email: '', name: '' };

async function say(
  db: Kysely<Tables>,
  tenant: TenantRow,
  saying: Saying,
  recipient: Recipient,
): Promise<Rendered> {
  const [template, layout] = await Promise.all([
    readTemplate(db, tenant.id, saying.template, tenant.locale),
    readLayout(db, tenant.id, tenant.locale),
  ]);
  const values: TemplateValues = {
    tenant: { name: tenant.name },
    recipient: { name: recipient.name },
    event: saying.event,
    ...(saying.subject === undefined ? {} : { subject: saying.subject }),
    ...(saying.message === undefined ? {} : { message: saying.message }),
  };
  try {
    return render(template, layout.html, values, saying.html);
  } catch (error) {
    // A template that an admin broke must not keep anybody from being told: the host's own words go out.
    if (!(error instanceof HostError) || !(template.changed || layout.changed)) throw error;
    const plain = hostTemplate(saying.template, tenant.locale);
    return render(plain, hostLayout(tenant.locale), values, saying.html);
  }
}

function payloadFor(sender: Sender, to: string, rendered: Rendered, about: About): SendPayload {
  return {
    to,
    subject: rendered.subject,
    title: rendered.subject,
    message: sender.channel === 'email' ? rendered.html : rendered.plain,
    text_mini: rendered.plain,
    module: about.module,
    type: about.level,
  };
}

/** @returns ids of what was queued */
async function deliver(
  db: Db,
  tenant: TenantRow,
  saying: Saying,
  about: About,
  to: { readonly senders: readonly Sender[]; readonly recipients: readonly Recipient[] },
): Promise<readonly string[]> {
  return inTransaction(db, async (trx) => {
    const ids: string[] = [];
    for (const sender of to.senders) {
      const readers = sender.channel === 'chat' ? [ROOM] : to.recipients;
      for (const reader of readers) {
        const rendered = await say(trx, tenant, saying, reader);
        const address = sender.channel === 'chat' ? sender.name : reader.email;
        const id = await queueDelivery(trx, {
          tenantId: tenant.id,
          sender,
          payload: payloadFor(sender, address, rendered, about),
          category: about.category,
          event: about.eventName,
          level: about.level,
          accountId: reader.accountId === '' ? null : reader.accountId,
          sourceId: about.sourceId,
          onceKey:
            about.onceKey === null ? null : `${about.onceKey}/${sender.instanceId}/${reader.accountId}`,
        });
        if (id !== null) ids.push(id);
      }
    }
    return ids;
  });
}

export interface HappenedEvent {
  readonly tenantId: string;
  readonly name: NoticedEvent;
  /** The same for each time that this event is handed to us. */
  readonly id: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly clientId: string | null;
}

/** Tells whom a host event concerns. May be called again for the same event. */
export async function tellEvent(db: Db, happened: HappenedEvent): Promise<readonly string[]> {
  const { tenantId, name, payload, clientId } = happened;
  const { category, level, template } = EVENT_NOTICES[name];
  const tenant = await readTenant(db, tenantId);
  const senders = await sendersFor(db, tenantId, { category, event: name, level });
  const recipients = await recipientsOf(db, tenantId, category, clientId);
  if (senders.length === 0) return [];
  return deliver(
    db,
    tenant,
    { template, event: payload },
    { category, eventName: name, level, module: 'System', sourceId: null, onceKey: `event:${happened.id}` },
    { senders, recipients },
  );
}

export interface ModuleMessage {
  readonly tenantId: string;
  readonly sourceId: string;
  readonly module: string;
  readonly subject: string;
  readonly message: string;
  readonly level: Level;
}

/** A module's message to a category, by the tenant's rules. @throws HostError NOT_FOUND for a client of another tenant */
export async function tellCategory(
  db: Db,
  message: ModuleMessage & { readonly category: Category; readonly clientId: string | null },
): Promise<readonly string[]> {
  const { tenantId, category, clientId, level } = message;
  const tenant = await readTenant(db, tenantId);
  const recipients = await recipientsOf(db, tenantId, category, clientId);
  if (clientId !== null && recipients.length === 0)
    throw new HostError('NOT_FOUND', 'notify: there is no such client.');
  const senders = await sendersFor(db, tenantId, { category, event: null, level });
  return deliver(db, tenant, sayingOf(message), aboutOf(message, category), { senders, recipients });
}

/** A module's mail to one person of the tenant's own. @throws HostError NOT_FOUND for a stranger, CONFLICT without a mail sender */
export async function mailPerson(
  db: Db,
  message: ModuleMessage & { readonly to: string; readonly html?: string | undefined },
): Promise<string> {
  const { tenantId } = message;
  const tenant = await readTenant(db, tenantId);
  const person = await ownPerson(db, tenantId, message.to);
  if (person === undefined)
    throw new HostError(
      'NOT_FOUND',
      'mail: nobody here has this address; mail goes to clients and staff only.',
    );
  const sender = (await readSenders(db, tenantId)).find(({ channel }) => channel === 'email');
  if (sender === undefined)
    throw new HostError(
      'CONFLICT',
      'mail: no mail sender is set up; the admin enables one under Notifications.',
    );
  const ids = await deliver(
    db,
    tenant,
    { ...sayingOf(message), html: message.html },
    aboutOf(message, null),
    {
      senders: [sender],
      recipients: [person],
    },
  );
  const [id] = ids;
  if (id === undefined) throw new HostError('INTERNAL', 'mail: the mail could not be queued.');
  return id;
}

function sayingOf({ subject, message }: ModuleMessage): Saying {
  return { template: 'message', event: {}, subject, message };
}

function aboutOf({ module, sourceId, level }: ModuleMessage, category: Category | null): About {
  return { category, eventName: null, level, module, sourceId, onceKey: null };
}

/** A message that shows whether a sender works. @throws HostError NOT_FOUND, BAD_INPUT with errors by field */
export async function sendTest(
  db: Db,
  input: { readonly tenantId: string; readonly instanceId: string; readonly to: string },
): Promise<string> {
  const tenant = await readTenant(db, input.tenantId);
  const sender = (await readSenders(db, tenant.id)).find(({ instanceId }) => instanceId === input.instanceId);
  if (sender === undefined)
    throw new HostError('NOT_FOUND', 'There is no such sender, or it is switched off.');
  const rendered = await say(db, tenant, { template: 'test', event: {} }, ROOM);
  const about: About = {
    category: null,
    eventName: null,
    level: 'info',
    module: 'System',
    sourceId: null,
    onceKey: null,
  };
  const to = sender.channel === 'chat' ? sender.name : input.to;
  const payload = payloadFor(sender, to, rendered, about);
  const id = await queueDelivery(db, { tenantId: tenant.id, sender, payload, category: null, level: 'info' });
  if (id === null) throw new HostError('INTERNAL', 'The test message could not be queued.');
  return id;
}
