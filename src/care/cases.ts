/** The use cases of care.ts, put together. */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { ReconcileReport } from '../../sandbox/contract/kinds/service-care.ts';
import { BUTTON_METHODS } from '../../sandbox/contract/kinds/product.ts';
import { requirePermission } from '../auth/permissions.ts';
import { setProvisionStatus } from '../billing/service-status.ts';
import { onModule } from '../catalog/products.ts';
import { beginAction, readSaid } from './actions.ts';
import { ask, messageOf, requireMethod } from './ask.ts';
import { askReport } from './asked.ts';
import type { Care, Done, OfService } from './care.ts';
import { changePassword } from './password.ts';
import { type CareDeps, readService, requireStaff, requireUsable } from './service.ts';
import { signOn } from './sign-on.ts';
import { testConnection } from './test-connection.ts';
import { buttonsFor, viewCare } from './view.ts';

export function createCare(deps: CareDeps): Care {
  return {
    view: (input) => viewCare(deps, input),
    press: (input) => press(deps, input),
    changePassword: (input) => changePassword(deps, input),
    signOn: (input) => signOn(deps, input),
    reconcile: (input) => reconcile(deps, input),
    markNotFound: (input) => markNotFound(deps, input),
    testConnection: (input) => testConnection(deps, input),
    said: (input) => readSaid(deps.db, input),
  };
}

/** The button is looked up in what the version declared; what came with the request is compared and never called. */
async function press(deps: CareDeps, input: OfService & { readonly button: string }): Promise<Done> {
  const { account } = input;
  const service = await readService(deps, input);
  requireUsable(service, account);
  const { installation } = service;
  const { declaration, methods } = installation.version;
  const declared = account.kind === 'client' ? declaration.client_buttons : declaration.admin_buttons;
  const button = declared.find(({ key }) => key === input.button);
  if (button === undefined) throw new HostError('NOT_FOUND', 'The module has no such button.');
  if (!buttonsFor(service, account).includes(button))
    throw new HostError(
      'NOT_GRANTED',
      `Your role lacks the permission ${button.permission ?? ''} of this module.`,
    );
  const method = `${BUTTON_METHODS[account.kind]}${button.key}`;
  requireMethod(methods, method);
  const of = { installationId: installation.id, serviceId: service.id, account };
  const action = await beginAction(deps.db, { tenantId: input.tenantId, ...of });
  const asked = await ask(deps, {
    ...of,
    calls: [...service.prepare, onModule(method)],
  });
  const message = asked.ok ? messageOf(asked.answer) : asked.message;
  const { ok, durationMs } = asked;
  return action.end({ action: 'button', title: button.title, ok, message, durationMs });
}

async function reconcile(deps: CareDeps, input: OfService): Promise<Done> {
  const { account } = input;
  requireStaff(account);
  const service = await readService(deps, input);
  requireUsable(service, account);
  requireMethod(service.installation.version.methods, 'reconcile');
  const of = { installationId: service.installation.id, serviceId: service.id, account };
  const action = await beginAction(deps.db, { tenantId: input.tenantId, ...of });
  const asked = await askReport(deps, service, account);
  const message = asked.ok ? (asked.report?.message ?? '') : asked.message;
  const { ok, durationMs } = asked;
  return action.end({ action: 'reconcile', title: asked.report?.status ?? '', ok, message, durationMs });
}

async function markNotFound(deps: CareDeps, input: OfService): Promise<void> {
  const { account } = input;
  requireStaff(account);
  requirePermission(account.permissions, 'services.manage');
  const service = await readService(deps, input);
  const row = await deps.db
    .selectFrom('service_care')
    .select('report')
    .where('service_id', '=', service.id)
    .where('tenant_id', '=', input.tenantId)
    .executeTakeFirst();
  const report = v.safeParse(ReconcileReport, row?.report);
  if (!report.success || report.output.status !== 'missing')
    throw new HostError('CONFLICT', 'The last comparison found the remote account. Compare again first.');
  await setProvisionStatus(deps.db, service.id, 'not_found', 'admin');
}
