/** The button that tests a connection, on the pages where one is set up: a module's settings, an instance, a product. */
import * as v from 'valibot';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { installationOf, type InstallationRow, runs } from '../need.ts';
import type { Panel } from '../panel.ts';
import { withSaid } from './routes.ts';

const Id = v.optional(v.pipe(v.string(), v.uuid()));
const TestForm = v.object({ product: Id, instance: Id });
const Methods = v.pick(Declaration, ['methods']);

/** Where the button posts to; undefined if the module has no such test or does not run. */
export function testAction(c: AccountContext, installation: InstallationRow): string | undefined {
  const declared = v.safeParse(Methods, installation.declaration);
  const has = declared.success && declared.output.methods.includes('testConnection');
  return has && runs(installation.status)
    ? `${c.get('tenantBase')}/admin/installations/${installation.id}/test`
    : undefined;
}

export function testConnectionPages(app: AccountApp, panel: Panel): void {
  app.post('/installations/:id/test', async (c) => {
    const installation = await installationOf(panel, c.get('tenant').id, idFrom(c.req.param('id')));
    const form = await checkForm(c, TestForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'There is no such product or instance.');
    const { product, instance } = form.value;
    const { accountId, permissions } = c.get('account');
    const { actionId } = await panel.deps.care.testConnection({
      tenantId: c.get('tenant').id,
      installationId: installation.id,
      ...(product === undefined ? {} : { productId: product }),
      ...(instance === undefined ? {} : { instanceId: instance }),
      account: { id: accountId, kind: 'admin', permissions },
    });
    return c.redirect(withSaid(pageOf(c, installation.id, form.value), actionId), 303);
  });
}

function pageOf(c: AccountContext, installationId: string, of: v.InferOutput<typeof TestForm>): string {
  const base = `${c.get('tenantBase')}/admin`;
  if (of.product !== undefined) return `${base}/products/${of.product}`;
  const home = `${base}/installations/${installationId}`;
  return of.instance === undefined ? `${home}/settings` : `${home}/instances/${of.instance}`;
}
