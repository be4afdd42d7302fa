/**
 * mail and notify: what a module says to people. It goes through the tenant's senders, which are modules themselves: so a sender may not
 * ask for it, or a message would send the next. How much an hour is counted on the deliveries that came of it, whichever process took them.
 */
import type { Kysely } from 'kysely';
import type { NotificationCategory } from '../../sandbox/contract/capabilities/notify.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import { kinds } from '../../sandbox/contract/kinds.ts';
import type { Tables } from '../database/tables.ts';
import type { Trx } from '../jobs/task.ts';
import type { Broker, Scope } from './broker.ts';

interface Said {
  readonly tenantId: string;
  readonly sourceId: string;
  readonly module: string;
  readonly subject: string;
  readonly message: string;
  readonly level: 'error' | 'warning' | 'success' | 'info';
}

/** The host's own ways of telling people something (src/notifications). */
export interface Tellers {
  mailPerson(
    trx: Trx,
    mail: Said & { readonly to: string; readonly html?: string | undefined },
  ): Promise<string>;
  tellCategory(
    trx: Trx,
    message: Said & { readonly category: NotificationCategory; readonly clientId: string | null },
  ): Promise<readonly string[]>;
}

export interface MessagesDeps {
  readonly db: Kysely<Tables>;
  readonly tellers: Tellers;
}

const HOUR_MS = 3_600_000;

/** A type whose modules carry messages is told by its methods. @throws HostError CONFLICT */
function refuseSender(scope: Scope, capability: string): void {
  const kind = Object.hasOwn(kinds, scope.moduleType) ? kinds[scope.moduleType] : undefined;
  if (kind !== undefined && Object.hasOwn(kind.methods, 'send'))
    throw new HostError('NOT_GRANTED', `${capability}: a module that sends messages cannot ask for one.`);
}

function said(scope: Scope, input: { subject: string; message: string; type: Said['level'] }): Said {
  return {
    tenantId: scope.tenantId,
    sourceId: scope.installationId,
    module: scope.moduleName,
    subject: input.subject,
    message: input.message,
    level: input.type,
  };
}

/**
 * Runs `work` if the installation has something left of its hour, one at a time for an installation. Messages are counted by what
 * was queued: a message to ten people is ten.
 */
async function withinHour<T>(
  db: Kysely<Tables>,
  scope: Scope,
  capability: string,
  perHour: number,
  work: (trx: Trx) => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (trx) => {
    await trx
      .selectFrom('installations')
      .select('id')
      .where('id', '=', scope.installationId)
      .forNoKeyUpdate()
      .execute();
    const { count } = await trx
      .selectFrom('deliveries')
      .select((e) => e.fn.countAll<number>().as('count'))
      .where('source_id', '=', scope.installationId)
      .where('created_at', '>', new Date(Date.now() - HOUR_MS))
      .executeTakeFirstOrThrow();
    if (count >= perHour)
      throw new HostError(
        'LIMIT',
        `${capability}: more than ${perHour} messages an hour; wait, or ask for more in permissions.${capability}.per_hour.`,
      );
    return work(trx);
  });
}

export function createMailBroker({ db, tellers }: MessagesDeps): Broker<'mail'> {
  return {
    async send(scope, input, grant) {
      refuseSender(scope, 'mail');
      if (input.html !== undefined && !grant.html) throw refusal('mail', 'HTML of its own', 'mail.html');
      const uuid = await withinHour(db, scope, 'mail', grant.per_hour, async (trx) =>
        tellers.mailPerson(trx, { ...said(scope, input), to: input.to, html: input.html }),
      );
      scope.used('mail.per_hour');
      return { uuid };
    },
  };
}

export function createNotifyBroker({ db, tellers }: MessagesDeps): Broker<'notify'> {
  return {
    async send(scope, input, grant) {
      refuseSender(scope, 'notify');
      const { category, client = null } = input;
      if (!grant.categories.includes(category))
        throw refusal('notify', `category ${category}`, 'notify.categories');
      if (category.startsWith('client_') !== (client !== null))
        throw new HostError(
          'BAD_INPUT',
          category.startsWith('client_')
            ? `notify: ${category} needs client, the uuid of the client it is about.`
            : `notify: ${category} goes to the staff and takes no client.`,
        );
      const deliveries = await withinHour(db, scope, 'notify', grant.per_hour, async (trx) =>
        tellers.tellCategory(trx, { ...said(scope, input), category, clientId: client }),
      );
      scope.used(`notify.categories:${category}`);
      return { deliveries: [...deliveries] };
    },
  };
}
