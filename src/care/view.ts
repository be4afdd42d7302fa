/** What the service's page offers an account and shows of what the module said last. */
import * as v from 'valibot';
import {
  type ClientAction,
  ReconcileReport,
  type ServiceButton,
  Usage,
} from '../../sandbox/contract/kinds/service-care.ts';
import { hasPermission, modulePermission } from '../auth/permissions.ts';
import type { CareCaller, CareView, OfService, ShownMetric } from './care.ts';
import { type CaredService, type CareDeps, isUsable, readService, runs } from './service.ts';

/** Buttons that this account may press. */
export function buttonsFor({ installation }: CaredService, account: CareCaller): readonly ServiceButton[] {
  const { declaration, type, name } = installation.version;
  if (account.kind === 'client') return declaration.client_buttons;
  return declaration.admin_buttons.filter(
    ({ permission }) =>
      permission === undefined ||
      hasPermission(account.permissions, modulePermission(type, name, permission)),
  );
}

/** Whether the module has the method and lets this kind of account ask for it. */
export function offers({ installation }: CaredService, account: CareCaller, method: ClientAction): boolean {
  const { declaration, methods } = installation.version;
  return methods.has(method) && (account.kind === 'admin' || declaration.client_actions.includes(method));
}

function shownUsage(usage: unknown): readonly ShownMetric[] | null {
  const parsed = v.safeParse(Usage, usage);
  if (!parsed.success) return null;
  return Object.entries(parsed.output).map(([key, metric]) => ({
    key,
    ...metric,
    percent:
      metric.limit === null || metric.limit === 0
        ? null
        : Math.min(100, Math.round((metric.value / metric.limit) * 100)),
  }));
}

export async function viewCare(deps: CareDeps, input: OfService): Promise<CareView> {
  const { account } = input;
  const service = await readService(deps, input);
  const staff = account.kind === 'admin';
  const acts =
    isUsable(service, account.kind) && (!staff || hasPermission(account.permissions, 'services.manage'));
  const row = await deps.db
    .selectFrom('service_care')
    .selectAll()
    .where('service_id', '=', service.id)
    .where('tenant_id', '=', input.tenantId)
    .executeTakeFirst();
  const { methods } = service.installation.version;
  const told = runs(service.installation) && methods.has('usageUpdate') ? row : undefined;
  const report = v.safeParse(ReconcileReport, row?.report);
  return {
    buttons: acts ? buttonsFor(service, account) : [],
    password: acts && offers(service, account, 'changePassword'),
    // Without a granted host it can only fail: staff is told what to grant, a client has no use for it.
    signOn:
      acts &&
      offers(service, account, 'singleSignOn') &&
      (staff || Object.hasOwn(service.installation.grants, 'redirect')),
    reconcile: acts && staff && methods.has('reconcile'),
    usage: shownUsage(told?.usage),
    usageAt: told?.usage_at ?? null,
    usageError: staff ? (told?.usage_error ?? null) : null,
    report: staff && report.success ? report.output : null,
    reportAt: staff ? (row?.report_at ?? null) : null,
    reportError: staff ? (row?.report_error ?? null) : null,
  };
}
