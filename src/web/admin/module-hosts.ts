/** Hosts that a module asked for while it ran: the admin confirms each once, or refuses, and may change their mind. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { idFrom } from '../forms.ts';
import { installationOf, need } from '../need.ts';
import { withNote, type Note } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import { installationHead } from './installation-head.ts';

export function moduleHostPages(app: AccountApp, panel: Panel): void {
  const { db, hosts } = panel.deps;
  const find = (c: AccountContext) => installationOf(panel, c.get('tenant').id, idFrom(c.req.param('id')));

  app.get('/installations/:id/hosts', async (c) => {
    need(c, 'modules.manage');
    const installation = await find(c);
    const rows = await db
      .selectFrom('host_requests')
      .leftJoin('accounts', 'accounts.id', 'host_requests.decided_by')
      .select([
        'host_requests.id',
        'host_requests.capability',
        'host_requests.pattern',
        'host_requests.status',
        'host_requests.asked_at',
        'host_requests.decided_at',
        'accounts.name as decided_by',
      ])
      .where('host_requests.installation_id', '=', installation.id)
      .orderBy('host_requests.asked_at', 'desc')
      .execute();
    return accountPage(panel, c, 'admin/module-hosts', {
      ...installationHead(c, installation, 'hosts'),
      requests: rows,
    });
  });

  const deciding = (name: string, note: Note, decide: (id: string, by: string) => Promise<void>): void => {
    app.post(`/installations/:id/hosts/:request/${name}`, async (c) => {
      need(c, 'modules.manage');
      const installation = await find(c);
      const row = await db
        .selectFrom('host_requests')
        .select('id')
        .where('installation_id', '=', installation.id)
        .where('id', '=', idFrom(c.req.param('request')))
        .executeTakeFirst();
      if (row === undefined) throw new HostError('NOT_FOUND', 'There is no such request.');
      await decide(row.id, c.get('account').accountId);
      const home = `${c.get('tenantBase')}/admin/installations/${installation.id}/hosts`;
      return c.redirect(withNote(home, note), 303);
    });
  };
  deciding('confirm', 'host-confirmed', (requestId, accountId) =>
    hosts.decide({ requestId, status: 'confirmed', accountId }),
  );
  deciding('refuse', 'host-refused', (requestId, accountId) =>
    hosts.decide({ requestId, status: 'refused', accountId }),
  );
  deciding('forget', 'host-forgotten', (requestId) => hosts.forget(requestId));
}
