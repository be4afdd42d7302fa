/** usageUpdate() and reconcile(): what the module said last stands in one row for each service, and what it could not say beside it. */
import { sql } from 'kysely';
import * as v from 'valibot';
import type { InvocationOutput } from '../../sandbox/contract/invocation.ts';
import { ReconcileReport, Usage } from '../../sandbox/contract/kinds/service-care.ts';
import type { WireError } from '../../sandbox/contract/envelope.ts';
import { valueOf } from '../catalog/answers.ts';
import { onModule } from '../catalog/products.ts';
import { redact } from '../secrets/redact-by-key.ts';
import { type Asked, ask } from './ask.ts';
import type { CareCaller } from './care.ts';
import type { CareDeps, CaredService } from './service.ts';

const Refusal = v.object({
  status: v.literal('error'),
  message: v.optional(v.string(), 'The module refused.'),
});

/** An answer of another shape is refused, and so is {status: 'error', message}. */
function judgeBy(schema: v.GenericSchema, method: string) {
  return (results: InvocationOutput['results']): WireError | undefined => {
    const value = valueOf(results.at(-1));
    const refused = v.safeParse(Refusal, value);
    if (refused.success) return { code: 'MODULE_ERROR', message: refused.output.message.slice(0, 2_000) };
    const parsed = v.safeParse(schema, value);
    if (parsed.success) return undefined;
    const issue = parsed.issues[0];
    const at = v.getDotPath(issue) ?? 'its answer';
    return { code: 'BAD_OUTPUT', message: `${method}(): ${at}: ${issue.message}.` };
  };
}

/** A field that is called a password shows none, whatever the module compared. */
function withoutSecrets(report: ReconcileReport): ReconcileReport {
  const differences = report.differences.map((difference) => {
    const shown = redact({ [difference.field]: difference.local });
    const hidden =
      typeof shown === 'object' && shown !== null && !Object.values(shown).includes(difference.local);
    return hidden ? { ...difference, local: '•••', remote: '•••' } : difference;
  });
  return { ...report, differences };
}

async function keep(
  deps: CareDeps,
  service: CaredService,
  set: Readonly<Record<string, unknown>>,
): Promise<void> {
  await deps.db
    .insertInto('service_care')
    .values({ service_id: service.id, tenant_id: service.tenantId, ...set })
    .onConflict((conflict) => conflict.column('service_id').doUpdateSet(set))
    .execute();
}

/** Asks what the service uses and keeps the answer; the last one stays where it fails. */
export async function askUsage(deps: CareDeps, service: CaredService): Promise<Asked> {
  const asked = await ask(deps, {
    installationId: service.installation.id,
    serviceId: service.id,
    calls: [...service.prepare, onModule('usageUpdate')],
    judge: judgeBy(Usage, 'usageUpdate'),
  });
  await keep(
    deps,
    service,
    asked.ok
      ? { usage: v.parse(Usage, asked.answer), usage_at: sql`now()`, usage_error: null }
      : { usage_error: asked.message.slice(0, 500) },
  );
  return asked;
}

/** Has the module compare the remote account with what is kept here, and keeps its report. */
export async function askReport(
  deps: CareDeps,
  service: CaredService,
  account: CareCaller | null,
): Promise<Asked & { readonly report?: ReconcileReport }> {
  const asked = await ask(deps, {
    installationId: service.installation.id,
    serviceId: service.id,
    account,
    calls: [...service.prepare, onModule('reconcile')],
    judge: judgeBy(ReconcileReport, 'reconcile'),
  });
  if (!asked.ok) {
    await keep(deps, service, { report_error: asked.message.slice(0, 500) });
    return asked;
  }
  const report = withoutSecrets(v.parse(ReconcileReport, asked.answer));
  await keep(deps, service, { report, report_at: sql`now()`, report_error: null });
  return { ...asked, report };
}
