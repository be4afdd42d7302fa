/** The addresses of a payment: where a gateway sends its client back to, paid or not. */
import type { Context } from 'hono';
import type { TenantEnv } from '../env.ts';

export function invoiceHome(c: Pick<Context<TenantEnv>, 'get'>, invoiceId: string): string {
  return `${c.get('tenantBase')}/invoices/${invoiceId}`;
}

/** Absolute, as a gateway needs them. */
export function payUrls(
  c: Pick<Context<TenantEnv>, 'get'>,
  { invoiceId, instanceId }: { readonly invoiceId: string; readonly instanceId: string },
): { returnUrl: string; cancelUrl: string } {
  const base = `${c.get('origin')}${invoiceHome(c, invoiceId)}`;
  return { returnUrl: `${base}/return/${instanceId}`, cancelUrl: `${base}/cancelled/${instanceId}` };
}
