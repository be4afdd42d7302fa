/**
 * Host events that people are told of, and how: who (category), how grave, with which template, and whose client it is about. Data, so
 * that the pages can list them and a new one is a line.
 */
import type { HostEventName } from '../../sandbox/contract/host-events.ts';
import type { Category, Level } from './categories.ts';
import type { TemplateName } from './templates.ts';

export interface EventNotice {
  readonly category: Category;
  readonly level: Level;
  readonly template: TemplateName;
}

export const EVENT_NOTICES = {
  InvoiceCreated: { category: 'client_administrative', level: 'info', template: 'InvoiceCreated' },
  InvoicePaid: { category: 'client_administrative', level: 'success', template: 'InvoicePaid' },
  PaymentFailed: { category: 'client_administrative', level: 'warning', template: 'PaymentFailed' },
  PaymentRefunded: { category: 'client_administrative', level: 'info', template: 'PaymentRefunded' },
  ServiceCreated: { category: 'client_operational', level: 'success', template: 'ServiceCreated' },
  ServiceSuspended: { category: 'client_operational', level: 'warning', template: 'ServiceSuspended' },
  ServiceTerminated: { category: 'client_operational', level: 'info', template: 'ServiceTerminated' },
  ServiceCreateFailed: { category: 'staff_operational', level: 'error', template: 'ServiceCreateFailed' },
  ModulePaused: { category: 'staff_operational', level: 'error', template: 'ModulePaused' },
  ClientRegistered: { category: 'staff_administrative', level: 'info', template: 'ClientRegistered' },
} as const satisfies Partial<Readonly<Record<HostEventName, EventNotice>>>;

export type NoticedEvent = keyof typeof EVENT_NOTICES;
export const NOTICED_EVENTS = Object.keys(EVENT_NOTICES).filter(isNoticed);

export function isNoticed(name: string): name is NoticedEvent {
  return Object.hasOwn(EVENT_NOTICES, name);
}
