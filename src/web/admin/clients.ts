/** Clients of the tenant: the list, one client with services, and creating one. */
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { confirmAccount, Email, PersonName } from '../../auth/accounts.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { sendConfirmation } from '../client/confirm.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, idFrom, type RawForm } from '../forms.ts';
import { WEB_LIMITS } from '../limits.ts';
import { may, need } from '../need.ts';
import { withNote } from '../notes.ts';
import { pageNumber, paged, rowsFrom } from '../paging.ts';
import { accountPage, type Panel } from '../panel.ts';

const TEXT_CHARS = 100;
const ClientForm = v.object({
  email: Email,
  name: PersonName,
  password: v.pipe(
    v.string(),
    v.minLength(AUTH_LIMITS.passwordMinChars, `Use at least ${AUTH_LIMITS.passwordMinChars} characters.`),
  ),
});

async function readClients(panel: Panel, c: AccountContext) {
  const page = pageNumber(c.req.query('page'));
  const text = c.req.query('q')?.slice(0, TEXT_CHARS) ?? '';
  const pattern = `%${text.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
  const rows = await panel.deps.db
    .selectFrom('accounts')
    .select((e) => [
      'accounts.id',
      'accounts.name',
      'accounts.email',
      'accounts.created_at',
      'accounts.disabled_at',
      'accounts.unconfirmed_since',
      e
        .selectFrom('services')
        .select(sql<number>`count(*)::int`.as('count'))
        .whereRef('services.client_id', '=', 'accounts.id')
        .as('services'),
    ])
    .where('accounts.tenant_id', '=', c.get('tenant').id)
    .where('accounts.kind', '=', 'client')
    .where((e) => e.or([e('accounts.name', 'ilike', pattern), e('accounts.email', 'ilike', pattern)]))
    .orderBy('accounts.created_at', 'desc')
    .limit(WEB_LIMITS.pageRows + 1)
    .offset(rowsFrom(page))
    .execute();
  return { ...paged(c.req.url, page, rows), q: text };
}

async function clientRow(panel: Panel, c: AccountContext) {
  const row = await panel.deps.db
    .selectFrom('accounts')
    .select(['id', 'name', 'email', 'created_at', 'disabled_at', 'unconfirmed_since'])
    .where('tenant_id', '=', c.get('tenant').id)
    .where('kind', '=', 'client')
    .where('id', '=', idFrom(c.req.param('id')))
    .executeTakeFirst();
  if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such client.');
  return row;
}

export function clientsPages(app: AccountApp, panel: Panel): void {
  const { auth, db } = panel.deps;

  app.get('/clients', async (c) => {
    need(c, 'clients.manage');
    const { rows, paging, q } = await readClients(panel, c);
    return accountPage(panel, c, 'admin/clients', {
      title: c.get('t')('menu.clients'),
      clients: rows,
      paging,
      q,
    });
  });

  const newPage = (c: AccountContext, refused?: { errors: FormErrors; values: RawForm }) => {
    need(c, 'clients.manage');
    const data = {
      title: c.get('t')('admin.new_client'),
      crumb: { href: `${c.get('tenantBase')}/admin/clients`, title: c.get('t')('menu.clients') },
      values: refused?.values ?? {},
      errors: refused?.errors ?? {},
    };
    return accountPage(panel, c, 'admin/client-new', data, refused === undefined ? 200 : 422);
  };
  app.get('/clients/new', (c) => newPage(c));
  app.post('/clients/new', async (c) => {
    need(c, 'clients.manage');
    const form = await checkForm(c, ClientForm);
    if (!form.ok) return newPage(c, form);
    try {
      const { id } = await auth.createAccount({
        kind: 'client',
        tenantId: c.get('tenant').id,
        ...form.value,
      });
      return c.redirect(withNote(`${c.get('tenantBase')}/admin/clients/${id}`, 'client-created'), 303);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return newPage(c, { errors, values: { email: form.value.email, name: form.value.name } });
    }
  });

  app.get('/clients/:id', async (c) => {
    need(c, 'clients.manage');
    const client = await clientRow(panel, c);
    const seesServices = may(c, 'services.view');
    const services = !seesServices
      ? []
      : await db
          .selectFrom('services')
          .innerJoin('products', 'products.id', 'services.product_id')
          .select([
            'services.id',
            'services.name',
            'services.status',
            'services.provision_status',
            'services.created_at',
            'products.name as product',
          ])
          .where('services.tenant_id', '=', c.get('tenant').id)
          .where('services.client_id', '=', client.id)
          .orderBy('services.created_at', 'desc')
          .limit(WEB_LIMITS.pageRows)
          .execute();
    return accountPage(panel, c, 'admin/client', {
      title: client.name,
      crumb: { href: `${c.get('tenantBase')}/admin/clients`, title: c.get('t')('menu.clients') },
      client,
      mails: panel.deps.mail !== undefined,
      seesServices,
      mayOrder: may(c, 'services.manage'),
      seesBilling: may(c, 'billing.view'),
      services,
    });
  });
  confirmationActions(app, panel);
}

/** What staff can do for a client who made an account and has not confirmed its address. */
function confirmationActions(app: AccountApp, panel: Panel): void {
  const backTo = (c: AccountContext, id: string): string => `${c.get('tenantBase')}/admin/clients/${id}`;
  app.post('/clients/:id/confirm', async (c) => {
    need(c, 'clients.manage');
    const client = await clientRow(panel, c);
    await confirmAccount(panel.deps.db, client.id);
    return c.redirect(withNote(backTo(c, client.id), 'client-confirmed'), 303);
  });
  app.post('/clients/:id/confirmation-mail', async (c) => {
    need(c, 'clients.manage');
    const client = await clientRow(panel, c);
    if (client.unconfirmed_since === null)
      throw new HostError('CONFLICT', 'The address is confirmed already.');
    const { tenant, origin, tenantBase } = c.var;
    const sent = await sendConfirmation(panel, { tenant, origin, tenantBase }, client.id);
    if (sent === 'no_mail') throw new HostError('CONFLICT', 'This host sends no mail.');
    if (sent === 'too_often')
      throw new HostError('LIMIT', 'Too many links were asked for; try again in some minutes.');
    return c.redirect(withNote(backTo(c, client.id), 'confirmation-sent'), 303);
  });
}
