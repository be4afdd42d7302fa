/**
 * From a parsed capability call to its broker. Here, in one place for all capabilities: is it granted at all? Deny by default; the
 * broker then checks the call against the details of the grant.
 */
import { capabilities, findOp, type CapabilityName } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Brokers, Scope } from './broker.ts';

type AnyHandler = (scope: Scope, input: unknown, grant: unknown) => Promise<unknown>;

/** Runs one call. @param path 'http.request'; its input is already parsed by the op's schema */
export async function dispatch(
  brokers: Brokers,
  scope: Scope,
  path: string,
  input: unknown,
): Promise<unknown> {
  const found = findOp(path);
  if (found === undefined) throw new HostError('NOT_FOUND', `There is no capability call ${path}.`);
  const grant = grantOf(scope, found.capability);
  const broker = brokers[found.capability] as Readonly<Record<string, AnyHandler>>;
  const handler = broker[found.name];
  if (handler === undefined)
    throw new HostError('INTERNAL', `The broker of ${found.capability} lacks ${found.name}.`);
  return handler(scope, input, grant);
}

function grantOf(scope: Scope, name: CapabilityName): unknown {
  const granted = Object.hasOwn(scope.grants, name) ? scope.grants[name] : undefined;
  if (granted !== undefined) return granted;
  if (capabilities[name].inherent) return {};
  throw new HostError(
    'NOT_GRANTED',
    `${name} is not granted; add it to permissions.${name} in module.json and ask the admin to grant it.`,
  );
}
