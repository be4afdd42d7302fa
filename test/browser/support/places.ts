/** Every page of the panel, by who may see it: a name for its picture, its path, and the status it answers with. */
import type { Tenant } from '../../support/tenant.ts';
import type { Area } from './stage.ts';
import type { Story } from './story.ts';

export interface Place {
  readonly name: string;
  readonly path: string;
  /** 200 if absent. */
  readonly status?: number;
}

export type Places = Readonly<Record<Area | 'stranger', readonly Place[]>>;

const MISSING = '00000000-0000-4000-8000-000000000000';

export function placesOf(story: Story, tenant: Tenant): Places {
  const admin = `/t/${tenant.slug}/admin`;
  const client = `/t/${tenant.slug}`;
  const installation = `${admin}/installations/${story.installationId}`;
  const service = `${client}/services/${story.serviceId}`;
  const { payments: pay } = story;
  const monitoring = `${admin}/modules/Plugin/ServerMonitoring`;
  const stripe = `${admin}/installations/${pay.stripeId}`;
  const payable = `${client}/invoices/${pay.openInvoiceId}`;
  return {
    stranger: [
      { name: 'sign-in-admin', path: `${admin}/sign-in` },
      { name: 'sign-in-client', path: `${client}/sign-in` },
      { name: 'sign-in-operator', path: '/operator/sign-in' },
      { name: 'forgotten-password', path: `${client}/forgot` },
      { name: 'error-no-such-page', path: '/nothing', status: 404 },
      { name: 'error-no-such-tenant', path: '/t/nobody/admin', status: 404 },
    ],
    admin: [
      { name: 'admin-dashboard', path: admin },
      { name: 'admin-services', path: `${admin}/services` },
      { name: 'admin-service', path: `${admin}/services/${story.serviceId}` },
      { name: 'admin-service-password', path: `${admin}/services/${story.serviceId}/password` },
      { name: 'admin-service-new', path: `${admin}/services/new?product=${story.productId}` },
      { name: 'admin-clients', path: `${admin}/clients` },
      { name: 'admin-client', path: `${admin}/clients/${tenant.clientId}` },
      { name: 'admin-client-new', path: `${admin}/clients/new` },
      { name: 'admin-client-billing', path: `${admin}/clients/${tenant.clientId}/billing` },
      { name: 'admin-invoices', path: `${admin}/invoices` },
      { name: 'admin-invoice', path: `${admin}/invoices/${story.invoiceId}` },
      { name: 'admin-invoice-paid', path: `${admin}/invoices/${story.paidInvoiceId}` },
      { name: 'admin-invoice-new', path: `${admin}/invoices/new` },
      { name: 'admin-billing', path: `${admin}/billing` },
      { name: 'admin-products', path: `${admin}/products` },
      { name: 'admin-product', path: `${admin}/products/${story.productId}` },
      { name: 'admin-product-which-module', path: `${admin}/products/new` },
      { name: 'admin-product-new', path: `${admin}/products/new?module=${story.installationId}` },
      { name: 'admin-modules', path: `${admin}/modules` },
      { name: 'admin-store', path: `${admin}/store` },
      { name: 'admin-store-module', path: `${admin}/store/${story.moduleId}` },
      { name: 'admin-module', path: installation },
      { name: 'admin-module-permissions', path: `${installation}/permissions` },
      { name: 'admin-module-settings', path: `${installation}/settings` },
      { name: 'admin-module-tasks', path: `${installation}/tasks` },
      { name: 'admin-module-logs', path: `${installation}/logs` },
      { name: 'admin-module-danger', path: `${installation}/danger` },
      { name: 'admin-module-page-servers', path: `${admin}/modules/Product/VPSHosting/servers` },
      { name: 'admin-module-page-images', path: `${admin}/modules/Product/VPSHosting/images` },
      { name: 'admin-instances', path: `${stripe}/instances` },
      { name: 'admin-instance', path: `${stripe}/instances/${pay.stripeAccountId}` },
      { name: 'admin-module-page-transfers', path: `${admin}/modules/Payment/BankTransfer/transfers` },
      { name: 'admin-notifications', path: `${admin}/notifications` },
      { name: 'admin-deliveries', path: `${admin}/notifications/deliveries` },
      { name: 'admin-notification-rules', path: `${admin}/notifications/rules` },
      { name: 'admin-templates', path: `${admin}/notifications/templates` },
      { name: 'admin-template', path: `${admin}/notifications/templates/InvoiceCreated` },
      { name: 'admin-module-page-messages', path: `${admin}/modules/Notification/Email/messages` },
      { name: 'admin-module-page-monitoring', path: `${monitoring}/dashboard` },
      { name: 'admin-module-page-checks', path: `${monitoring}/checks` },
      { name: 'admin-module-hosts', path: `${admin}/installations/${story.monitoring.monitoringId}/hosts` },
      { name: 'admin-schedules', path: `${admin}/schedules` },
      { name: 'admin-events', path: `${admin}/events` },
      { name: 'admin-event', path: `${admin}/events/${story.monitoring.eventId}` },
      { name: 'admin-tasks', path: `${admin}/tasks` },
      { name: 'admin-task', path: `${admin}/tasks/${story.taskId}` },
      { name: 'admin-task-failed', path: `${admin}/tasks/${story.failedTaskId}` },
      { name: 'admin-logs', path: `${admin}/logs` },
      { name: 'admin-settings', path: `${admin}/settings` },
      { name: 'admin-profile', path: `${admin}/profile` },
      { name: 'admin-error-no-such-service', path: `${admin}/services/${MISSING}`, status: 404 },
    ],
    client: [
      { name: 'client-services', path: `${client}/services` },
      { name: 'client-service', path: service },
      { name: 'client-service-console', path: `${service}/console` },
      { name: 'client-service-snapshots', path: `${service}/snapshots` },
      { name: 'client-service-monitoring', path: `${service}/monitoring` },
      { name: 'client-invoices', path: `${client}/invoices` },
      { name: 'client-invoice', path: `${client}/invoices/${story.invoiceId}` },
      { name: 'client-invoice-paid', path: `${client}/invoices/${story.paidInvoiceId}` },
      { name: 'client-order', path: `${client}/order` },
      { name: 'client-order-form', path: `${client}/order/${story.productId}` },
      { name: 'client-pay', path: `${payable}/pay` },
      { name: 'client-pay-frame', path: `${payable}/pay/${pay.bankAccountId}` },
      { name: 'client-pay-back', path: `${payable}/payment` },
      { name: 'client-profile', path: `${client}/profile` },
      { name: 'client-two-factor', path: `${client}/profile/two-factor` },
    ],
    operator: [
      { name: 'operator-tenants', path: '/operator/tenants' },
      { name: 'operator-tenant', path: `/operator/tenants/${tenant.id}` },
      { name: 'operator-tenant-new', path: '/operator/tenants/new' },
      { name: 'operator-packages', path: '/operator/packages' },
      { name: 'operator-package', path: `/operator/packages/${story.versionId}` },
      { name: 'operator-stores', path: '/operator/stores' },
      { name: 'operator-runners', path: '/operator/runners' },
      { name: 'operator-profile', path: '/operator/profile' },
    ],
  };
}
