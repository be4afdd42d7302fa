/**
 * A new master key takes over while the host runs: looked for now and then, and what the host itself keeps under an older one is sealed
 * again in the background. Meanwhile both open. What modules encrypted (crypt) stays under the key it was sealed with.
 */
import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import type { Tables } from '../database/tables.ts';
import type { Keyring } from './keyring.ts';
import type { Vault } from './vault.ts';

export interface RotationDeps {
  readonly db: Kysely<Tables>;
  readonly keyring: Keyring;
  readonly vault: Vault;
  /** Seal again what other parts keep; how many each did. */
  readonly also: readonly (() => Promise<number>)[];
  readonly log: (level: 'info', message: string) => void;
}

const KEY = 'deployment';

/** The deployment's own identity, sealed in the settings. @returns whether it was under an older key */
async function resealIdentity({ db, keyring }: RotationDeps): Promise<boolean> {
  const { rows } = await sql<{ sealed: string | null }>`
    select value ->> 'sealed' as sealed from settings where key = ${KEY}`.execute(db);
  const text = rows[0]?.sealed;
  if (text === undefined || text === null) return false;
  const sealed = Buffer.from(text, 'base64');
  if (keyring.isCurrent(sealed)) return false;
  const again = keyring.seal('secret', KEY, keyring.open('secret', KEY, sealed)).toString('base64');
  await sql`
    update settings set value = jsonb_set(value, '{sealed}', to_jsonb(${again}::text))
    where key = ${KEY} and value ->> 'sealed' = ${text}`.execute(db);
  return true;
}

/** One look: finds a key that was added, and seals again what is under older ones. To be called at start and now and then. */
export function createRotation(deps: RotationDeps): () => Promise<void> {
  let due = true;
  return async () => {
    due = deps.keyring.refresh() || due;
    if (!due) return;
    const identity = await resealIdentity(deps);
    let secrets = await deps.vault.rotate();
    for (const reseal of deps.also) secrets += await reseal();
    due = false;
    if (identity || secrets > 0)
      deps.log('info', `A new master key is in use; ${secrets} secrets were sealed again.`);
  };
}
