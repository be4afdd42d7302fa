/** What a Product offers beside the lifecycle, tried on a service that runs: each answer in the contract's shape, and usable. */
import * as v from 'valibot';
import { ActionResult } from '../../../sandbox/contract/kinds/module.ts';
import { ReconcileReport, Usage } from '../../../sandbox/contract/kinds/service-care.ts';
import { must, type Subject } from './case.ts';

/** @param subject with a service that is active */
export async function checkCare({ module, declaration }: Subject): Promise<void> {
  const has = (method: string): boolean => declaration.methods.includes(method);
  const { care } = module.installed.host.bulkhead.panel;
  const { uuid } = await module.service();
  const of = { tenantId: module.installed.tenantId, serviceId: uuid, account: module.admin };
  if (has('testConnection')) {
    const answer = v.safeParse(ActionResult, await module.call('testConnection'));
    must(
      answer.success && (answer.output.status === 'success' || answer.output.success === true),
      `testConnection() with these settings answered ${JSON.stringify(answer.output)}`,
    );
  }
  if (has('usageUpdate')) {
    const answer = await module.call('usageUpdate');
    must(v.is(Usage, answer), `usageUpdate() answered in no known shape: ${JSON.stringify(answer)}`);
  }
  if (has('reconcile')) {
    const answer = v.safeParse(ReconcileReport, await module.call('reconcile'));
    must(answer.success, 'reconcile() answered in no known shape');
    must(
      answer.success && answer.output.status !== 'missing',
      'reconcile() misses the account of a service that was just made',
    );
  }
  if (has('singleSignOn')) {
    const { url } = await care.signOn(of);
    must(URL.canParse(url), 'singleSignOn() gave no address');
  }
  if (has('changePassword')) {
    const { ok, message } = await care.changePassword({ ...of, password: null });
    must(ok, `changePassword() without a password given must make one; it said: ${message}`);
  }
}
