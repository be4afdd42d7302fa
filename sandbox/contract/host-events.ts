/**
 * The host's events, in one place: name, what it says, and the shape of its payload. From here come the types of emit() and of a module's
 * handlers, the words of the consent page, and the reference. Payloads are flat and small; who wants more reads it by its uuid, if granted.
 */
import * as v from 'valibot';

const Id = v.pipe(v.string(), v.uuid());
const Text = v.string();
const Amount = v.pipe(v.number(), v.safeInteger());

const service = {
  service_uuid: Id,
  product_uuid: Id,
  client_uuid: Id,
  /** 'Product/VPSHosting' */
  module: Text,
  name: Text,
};
const Service = v.object(service);
const ServiceFailed = v.object({ ...service, message: Text });
const invoice = { invoice_uuid: Id, number: Text, client_uuid: Id };
const Invoice = v.object({ ...invoice, total_minor: Amount, currency: Text });
const User = v.object({ user_uuid: Id, kind: v.picklist(['admin', 'client']), email: Text, name: Text });
const Module = v.object({ installation_uuid: Id, module: Text, version: Text });

interface HostEvent<S extends v.GenericSchema = v.GenericSchema> {
  readonly doc: string;
  /** True where the payload tells about a person. */
  readonly personal: boolean;
  readonly payload: S;
}

function event<S extends v.GenericSchema>(doc: string, payload: S): HostEvent<S> {
  return { doc, payload, personal: false };
}

function personal<S extends v.GenericSchema>(doc: string, payload: S): HostEvent<S> {
  return { doc, payload, personal: true };
}

export const hostEvents = {
  ServiceCreating: event('A service was ordered and is being made.', Service),
  ServiceCreated: event('A service runs for the first time.', Service),
  ServiceCreateFailed: event('A service could not be made.', ServiceFailed),
  ServiceSuspending: event('A service is being suspended.', Service),
  ServiceSuspended: event('A service was suspended.', Service),
  ServiceSuspendFailed: event('A service could not be suspended.', ServiceFailed),
  ServiceUnsuspending: event('A suspended service is being resumed.', Service),
  ServiceUnsuspended: event('A suspended service runs again.', Service),
  ServiceUnsuspendFailed: event('A suspended service could not be resumed.', ServiceFailed),
  ServiceTerminating: event('A service is being terminated.', Service),
  ServiceTerminated: event('A service was terminated.', Service),
  ServiceTerminateFailed: event('A service could not be terminated.', ServiceFailed),
  ServiceCancelling: event('A service will end: its client or an admin cancelled it.', Service),
  ServiceCancelled: event('A service ended because it was cancelled.', Service),
  ServiceCancelFailed: event('A cancelled service could not be ended.', ServiceFailed),
  ServiceChangingPackage: event('A service is being moved to another product.', Service),
  ServiceChangedPackage: event('A service was moved to another product.', Service),
  ServiceChangePackageFailed: event('A service could not be moved to another product.', ServiceFailed),
  ServiceRenewing: event('The next period of a service was paid, and its module is told.', Service),
  ServiceRenewed: event('A service was renewed for a period that was paid.', Service),
  ServiceRenewFailed: event('A service could not be renewed, though its period is paid.', ServiceFailed),
  InvoiceCreated: event('An invoice was made.', Invoice),
  InvoicePaid: event('An invoice was paid in full.', Invoice),
  PaymentFailed: event('A payment did not go through.', v.object({ ...invoice, reason: Text })),
  PaymentRefunded: event(
    'A payment was given back, in part or in whole.',
    v.object({ ...invoice, payment_uuid: Id, amount_minor: Amount, currency: Text }),
  ),
  ClientRegistered: personal('A client account was made.', User),
  UserLoggedIn: personal('Somebody signed in.', v.object({ ...User.entries, address: Text })),
  UserLoginFailed: personal(
    'Somebody tried to sign in and was refused.',
    v.object({ kind: v.picklist(['admin', 'client']), email: Text, address: Text }),
  ),
  UserLoggedOut: personal('Somebody signed out.', User),
  PasswordReset: personal('A password was set anew.', User),
  ModuleActivated: event('A module was switched on.', Module),
  ModuleDeactivated: event('A module was switched off.', Module),
  ModuleUpdated: event(
    'A module runs in a newer version.',
    v.object({ ...Module.entries, from_version: Text }),
  ),
  ModulePaused: event(
    'A module was paused: it had to be stopped too often.',
    v.object({ ...Module.entries, reason: Text }),
  ),
} as const satisfies Readonly<Record<string, HostEvent>>;

export type HostEventName = keyof typeof hostEvents;
export type HostEventPayload<N extends HostEventName> = v.InferOutput<(typeof hostEvents)[N]['payload']>;

export function isHostEvent(name: string): name is HostEventName {
  return Object.hasOwn(hostEvents, name);
}

/** A module's own names, without its prefix: 'account.created'. */
export const OwnEventName = v.pipe(
  v.string('an event name is expected'),
  v.maxLength(100),
  v.regex(
    /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/,
    'words joined by dots are expected, for example "account.created"',
  ),
);

/** What a module may emit or hear: a host event, 'Module.account.created', or all of one module's as 'Module.*'. */
export const EventPattern = v.pipe(
  v.string('an event name is expected'),
  v.maxLength(160),
  v.check(
    (text) =>
      isHostEvent(text) || /^[A-Z][A-Za-z0-9]{1,49}(?:\.[A-Za-z0-9_-]+)*\.(?:[A-Za-z0-9_-]+|\*)$/.test(text),
    'a host event such as "ServiceCreated", a module’s event such as "VPSHosting.account.created", or "VPSHosting.*" is expected.',
  ),
);

/** True if what `granted` names includes what `asked` names. */
export function eventCovers(granted: string, asked: string): boolean {
  return granted === asked || (granted.endsWith('.*') && asked.startsWith(granted.slice(0, -1)));
}

/** A module's event as everybody else knows it. */
export function prefixed(moduleName: string, name: string): string {
  return `${moduleName}.${name}`;
}
