/** A tenant with a client and what they owe, straight in the tables: for tests of money alone, without modules. */
import { randomBytes } from 'node:crypto';
import { createInvoice, type Invoice, type NewItem } from '../../src/billing/invoices.ts';
import type { Db } from '../../src/jobs/task.ts';

export interface Payer {
  readonly tenantId: string;
  readonly clientId: string;
}

export async function newPayer(db: Db, currency = 'USD'): Promise<Payer> {
  const slug = `t${randomBytes(6).toString('hex')}`;
  const { id: tenantId } = await db
    .insertInto('tenants')
    .values({ slug, name: slug, currency })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { tenantId, clientId: await newClient(db, tenantId) };
}

export async function newClient(db: Db, tenantId: string): Promise<string> {
  const { id } = await db
    .insertInto('accounts')
    .values({
      kind: 'client',
      tenant_id: tenantId,
      email: `${randomBytes(6).toString('hex')}@client.example`,
      name: 'Client',
      password_hash: '',
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

export async function newInvoice(
  db: Db,
  payer: Payer,
  amountMinor: number,
  how: { currency?: string; useCredit?: boolean; items?: readonly NewItem[]; dueAt?: Date } = {},
): Promise<Invoice> {
  const items = how.items ?? [{ kind: 'other', serviceId: null, description: 'Work', amountMinor }];
  return db.transaction().execute(async (trx) =>
    createInvoice(trx, {
      ...payer,
      currency: how.currency ?? 'USD',
      items,
      useCredit: how.useCredit ?? false,
      ...(how.dueAt === undefined ? {} : { dueAt: how.dueAt }),
    }),
  );
}

export async function invoiceNow(db: Db, id: string): Promise<Invoice> {
  return db.selectFrom('invoices').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}
