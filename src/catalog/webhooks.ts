/**
 * A delivery from outside. The unguessable part of its address is all that says whose it is: it is looked up among instances, then among
 * installations, and the module's own method judges the rest (a signature over the raw bytes, by a secret it never sees).
 */
import type { Kysely } from 'kysely';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { ModuleResponse } from '../../sandbox/contract/invocation.ts';
import { hasInstances } from '../../sandbox/contract/kinds.ts';
import type { Tables } from '../database/tables.ts';
import type { ModuleCalls } from '../web/deps.ts';
import { responseOf } from './answers.ts';
import type { ModuleCallsDeps } from './module-calls.ts';

interface HookOwner {
  readonly installationId: string;
  readonly instanceId: string | null;
}

const METHODS = { GET: 'apiWebhookGet', POST: 'apiWebhookPost' } as const;

async function ownerOf(db: Kysely<Tables>, hookId: string): Promise<HookOwner | undefined> {
  const instance = await db
    .selectFrom('instances')
    .select(['id', 'installation_id'])
    .where('hook_id', '=', hookId)
    .executeTakeFirst();
  if (instance !== undefined) return { installationId: instance.installation_id, instanceId: instance.id };
  const installation = await db
    .selectFrom('installations')
    .select('id')
    .where('hook_id', '=', hookId)
    .executeTakeFirst();
  return installation === undefined ? undefined : { installationId: installation.id, instanceId: null };
}

/** @throws HostError NOT_FOUND for an address that is none, and for a module that takes no such deliveries */
export async function webhook(
  deps: ModuleCallsDeps,
  input: Parameters<ModuleCalls['webhook']>[0],
): Promise<ModuleResponse> {
  const nothing = new HostError('NOT_FOUND', 'There is no such webhook.');
  const owner = await ownerOf(deps.db, input.hookId);
  if (owner === undefined) throw nothing;
  const { version } = await deps.installations.get(owner.installationId);
  // A type with instances is reached by theirs only: without one there is no secret to check a signature with.
  if (hasInstances(version.type) !== (owner.instanceId !== null)) throw nothing;
  const { method: verb } = input.request;
  if (verb !== 'GET' && verb !== 'POST') throw nothing;
  const method = METHODS[verb];
  if (!version.methods.has(method)) throw nothing;
  const { results } = await deps.invoker.invoke({
    ...owner,
    purpose: 'delivery',
    calls: [{ target: { on: 'module' }, method, args: [], request: input.request }],
  });
  return responseOf(results.at(-1));
}
