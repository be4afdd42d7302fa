/**
 * Which senders carry a message. A rule stands for a category, or for one event in it, from a level on. A tenant that has written no
 * rule has the host's: mail to whom it concerns through its oldest mail sender, and warnings for the staff in its chats as well.
 */
import { sql, type Kysely } from 'kysely';
import * as v from 'valibot';
import type { Tables } from '../database/tables.ts';
import { channelOf, isAtLeast, isForClients, type Category, type Channel, type Level } from './categories.ts';

/** An instance of a module that sends, which is switched on. */
export interface Sender {
  readonly instanceId: string;
  readonly installationId: string;
  /** 'Email · Main': the module's name and the instance's. */
  readonly name: string;
  readonly channel: Channel;
}

export interface Occasion {
  readonly category: Category;
  readonly event: string | null;
  readonly level: Level;
}

const Config = v.object({ config: v.optional(v.record(v.string(), v.unknown()), {}) });

/** Senders of a tenant that may be used now, oldest first. */
export async function readSenders(db: Kysely<Tables>, tenantId: string): Promise<readonly Sender[]> {
  const rows = await db
    .selectFrom('instances as instance')
    .innerJoin('installations as installation', 'installation.id', 'instance.installation_id')
    .innerJoin('modules as module', 'module.id', 'installation.module_id')
    .innerJoin('module_versions as version', 'version.id', 'installation.version_id')
    .select([
      'instance.id',
      'instance.name',
      'instance.installation_id',
      'module.name as module',
      'version.manifest',
    ])
    .where('instance.tenant_id', '=', tenantId)
    .where('instance.active', '=', true)
    .where('installation.status', 'in', ['active', 'restricted'])
    .where('module.type', '=', 'Notification')
    .orderBy('instance.created_at')
    .orderBy('instance.id')
    .execute();
  return rows.map((row) => {
    const manifest = v.safeParse(Config, row.manifest);
    return {
      instanceId: row.id,
      installationId: row.installation_id,
      name: `${row.module} · ${row.name}`,
      channel: channelOf(manifest.success ? manifest.output.config : {}),
    };
  });
}

function byDefault(senders: readonly Sender[], { category, level }: Occasion): readonly Sender[] {
  const mail = senders.find(({ channel }) => channel === 'email');
  const chats = senders.filter(({ channel }) => channel === 'chat');
  const inChats = !isForClients(category) && isAtLeast(level, 'warning');
  return [...(mail === undefined ? [] : [mail]), ...(inChats ? chats : [])];
}

/** The senders that carry a message on this occasion, each once. */
export async function sendersFor(
  db: Kysely<Tables>,
  tenantId: string,
  occasion: Occasion,
): Promise<readonly Sender[]> {
  const [senders, rules] = await Promise.all([readSenders(db, tenantId), readRules(db, tenantId)]);
  if (rules.length === 0) return byDefault(senders, occasion);
  const wanted = new Set(rules.filter((rule) => applies(rule, occasion)).flatMap((rule) => rule.instanceIds));
  return senders.filter(({ instanceId }) => wanted.has(instanceId));
}

export interface Rule {
  readonly id: string;
  readonly category: Category;
  readonly event: string | null;
  readonly minLevel: Level;
  readonly active: boolean;
  readonly instanceIds: readonly string[];
}

function applies(rule: Rule, { category, event, level }: Occasion): boolean {
  return (
    rule.active &&
    rule.category === category &&
    (rule.event === null || rule.event === event) &&
    isAtLeast(level, rule.minLevel)
  );
}

export async function readRules(db: Kysely<Tables>, tenantId: string): Promise<readonly Rule[]> {
  const rows = await db
    .selectFrom('notification_rules as rule')
    .leftJoin('notification_rule_senders as sender', 'sender.rule_id', 'rule.id')
    .select(['rule.id', 'rule.category', 'rule.event', 'rule.min_level', 'rule.active'])
    .select(
      sql<
        string[]
      >`coalesce(array_agg(sender.instance_id) filter (where sender.instance_id is not null), '{}')`.as(
        'instances',
      ),
    )
    .where('rule.tenant_id', '=', tenantId)
    .groupBy('rule.id')
    .orderBy('rule.category')
    .orderBy('rule.created_at')
    .execute();
  return rows.map((row) => ({
    id: row.id,
    category: row.category,
    event: row.event,
    minLevel: row.min_level,
    active: row.active,
    instanceIds: row.instances,
  }));
}
