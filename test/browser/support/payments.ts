/** Two ways to pay that are set up, and an invoice to pay with them. */
import type { Demo } from '../../../src/cli/demo/start.ts';
import { newInvoice } from '../../support/invoices.ts';
import type { Tenant } from '../../support/tenant.ts';

export interface Payments {
  readonly stripeId: string;
  readonly stripeAccountId: string;
  readonly bankAccountId: string;
  readonly openInvoiceId: string;
}

export async function setUpPayments(demo: Demo, tenant: Tenant): Promise<Payments> {
  const stripeAccountId = await tenant.installedWithInstance('Stripe', {
    secret_key: demo.state.cloud.stripeKey,
    webhook_secret: 'whsec_of_the_pictures',
    sandbox: true,
    api_url: demo.cloud.cloud,
    checkout_url: demo.cloud.cloud,
  });
  const bankAccountId = await tenant.installedWithInstance('BankTransfer');
  const accountId = tenant.adminId;
  await tenant.panel.instances.rename({ instanceId: stripeAccountId, name: 'Card', accountId });
  await tenant.panel.instances.rename({ instanceId: bankAccountId, name: 'Bank transfer', accountId });
  await tenant.newInstance('Stripe', 'Cards in euros');
  const openInvoiceId = await newInvoice(tenant, 1_250);
  // The client has looked at it: the transfer is awaited.
  await tenant.panel.gateways.pay({
    tenantId: tenant.id,
    invoiceId: openInvoiceId,
    instanceId: bankAccountId,
    account: { id: tenant.clientId, kind: 'client', permissions: [] },
    returnUrl: demo.server.url ?? '',
    cancelUrl: demo.server.url ?? '',
  });
  return { stripeId: await tenant.installationId('Stripe'), stripeAccountId, bankAccountId, openInvoiceId };
}
