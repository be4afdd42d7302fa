/**
 * The secrets of installations: values under handles, encrypted in the table `secrets`, each under a key of its own installation and
 * name. Brokers ask here; nothing else reads that table. Opened secrets are kept in memory for some seconds, since each HTTP request
 * needs them for redaction.
 */
import { sql, type Kysely, type Transaction } from 'kysely';

import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';
import { LOCKS } from '../jobs/locks.ts';
import { inTransaction } from '../jobs/task.ts';
import { newHandle } from './handle.ts';
import type { Keyring } from './keyring.ts';
import { createRedactor, SECRET_MIN_CHARACTERS } from './redactor.ts';
import type { Redactor } from './redactor.ts';

/** How long another process may go on using a value that was replaced. */
const KEPT_MS = 5_000;
const KEPT_INSTALLATIONS = 500;
const ROTATE_ROWS = 200;
/** Each answer of each request is searched for all of them. */
const SECRETS_PER_INSTALLATION = 100;

export interface Secret {
  readonly name: string;
  readonly handle: string;
  readonly value: string;
  /** Narrower than the grant's hosts, if not empty; the grant always counts too. */
  readonly hosts: readonly string[];
}

/** Whose secrets: an installation's as a whole, or those of one of its instances. A scope is one too. */
export interface SecretOwner {
  readonly installationId: string;
  readonly instanceId: string | null;
}

/** What an installation has: its secrets by handle and the redactor for all of them. */
export interface OpenSecrets {
  readonly byHandle: ReadonlyMap<string, Secret>;
  /** Name → handle. The same object for as long as nothing was read anew. */
  readonly handles: Readonly<Record<string, string>>;
  readonly redactor: Redactor;
}

export interface VaultDeps {
  readonly db: Kysely<Tables>;
  readonly keyring: Keyring;
  readonly now?: () => number;
}

interface Kept {
  readonly at: number;
  readonly secrets: Promise<OpenSecrets>;
}

const context = ({ installationId, instanceId }: SecretOwner, name: string): string =>
  instanceId === null ? `${installationId}\0${name}` : `${installationId}\0${instanceId}\0${name}`;

const keptKey = ({ installationId, instanceId }: SecretOwner): string =>
  `${installationId}/${instanceId ?? ''}`;

type Owner = string | SecretOwner;

/** An id alone means the installation as a whole. */
function ownerOf(owner: Owner): SecretOwner {
  return typeof owner === 'string' ? { installationId: owner, instanceId: null } : owner;
}

export class Vault {
  readonly #db: Kysely<Tables>;
  readonly #keyring: Keyring;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();

  constructor(deps: VaultDeps) {
    this.#db = deps.db;
    this.#keyring = deps.keyring;
    this.#now = deps.now ?? Date.now;
  }

  /**
   * Stores a value; a name that has one keeps its handle, since modules may have stored it.
   * @param db a transaction it belongs to; who gives one calls forget() after it
   * @param hosts narrows where it may go; empty: wherever the grant allows
   * @returns the handle
   * @throws HostError BAD_INPUT for a value too short to be recognised in answers; LIMIT
   */
  async put(
    whose: Owner,
    name: string,
    value: string,
    hosts: readonly string[] = [],
    db: Kysely<Tables> = this.#db,
  ): Promise<string> {
    const owner = ownerOf(whose);
    if (value.length < SECRET_MIN_CHARACTERS)
      throw new HostError(
        'BAD_INPUT',
        `secrets: ${name} needs at least ${SECRET_MIN_CHARACTERS} characters.`,
      );
    const ciphertext = this.#keyring.seal('secret', context(owner, name), Buffer.from(value, 'utf8'));
    const change = { ciphertext, hosts: [...hosts], updated_at: new Date() };
    const row = await inTransaction(db, async (trx) => {
      await this.#checkRoom(trx, owner, name);
      return this.#write(trx, owner, name, change);
    });
    this.forget(owner.installationId);
    return row.handle;
  }

  async #write(
    trx: Transaction<Tables>,
    owner: SecretOwner,
    name: string,
    change: { ciphertext: Buffer; hosts: string[]; updated_at: Date },
  ): Promise<{ handle: string }> {
    return trx
      .insertInto('secrets')
      .values({
        installation_id: owner.installationId,
        instance_id: owner.instanceId,
        name,
        handle: newHandle(),
        ...change,
      })
      .onConflict((conflict) =>
        conflict.columns(['installation_id', 'instance_id', 'name']).doUpdateSet(change),
      )
      .returning('handle')
      .executeTakeFirstOrThrow();
  }

  async remove(whose: Owner, name: string): Promise<void> {
    const { installationId, instanceId } = ownerOf(whose);
    await this.#db
      .deleteFrom('secrets')
      .where('installation_id', '=', installationId)
      .where('instance_id', 'is not distinct from', instanceId)
      .where('name', '=', name)
      .execute();
    this.forget(installationId);
  }

  /** Name → handle: what InvocationContext.secrets holds. */
  async handles(whose: Owner): Promise<Readonly<Record<string, string>>> {
    return (await this.open(whose)).handles;
  }

  /** Every secret of an installation, opened; with an instance those of that one as well, which go before equal names of the whole. */
  async open(whose: Owner): Promise<OpenSecrets> {
    const owner = ownerOf(whose);
    const key = keptKey(owner);
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.#now() - kept.at < KEPT_MS) return kept.secrets;
    const entry: Kept = { at: this.#now(), secrets: this.#read(owner) };
    this.#keep(key, entry);
    try {
      return await entry.secrets;
    } catch (error) {
      if (this.#kept.get(key) === entry) this.#kept.delete(key);
      throw error;
    }
  }

  /** Drops what is kept in memory; to be called when another process says that it changed. */
  forget(installationId: string): void {
    for (const key of this.#kept.keys()) if (key.startsWith(`${installationId}/`)) this.#kept.delete(key);
  }

  /** Seals again what is under an older master key. @returns how many were sealed again */
  async rotate(): Promise<number> {
    let rotated = 0;
    let after = '00000000-0000-0000-0000-000000000000';
    for (;;) {
      const rows = await this.#db
        .selectFrom('secrets')
        .select(['id', 'installation_id', 'instance_id', 'name', 'ciphertext'])
        .where('id', '>', after)
        .orderBy('id')
        .limit(ROTATE_ROWS)
        .execute();
      for (const row of rows) {
        after = row.id;
        if (this.#keyring.isCurrent(row.ciphertext)) continue;
        const owner = { installationId: row.installation_id, instanceId: row.instance_id };
        const where = context(owner, row.name);
        const plain = this.#openedOrNone(where, row.ciphertext);
        // Its key is not here (a restored backup, say): it must not keep the others under the old key.
        if (plain === undefined) continue;
        // Only if it is still what was read: a value put meanwhile is under the current key already.
        await this.#db
          .updateTable('secrets')
          .set({ ciphertext: this.#keyring.seal('secret', where, plain) })
          .where('id', '=', row.id)
          .where('ciphertext', '=', row.ciphertext)
          .execute();
        rotated += 1;
      }
      if (rows.length < ROTATE_ROWS) return rotated;
    }
  }

  #openedOrNone(where: string, ciphertext: Uint8Array): Buffer | undefined {
    try {
      return this.#keyring.open('secret', where, ciphertext);
    } catch (error) {
      if (error instanceof HostError && error.code === 'BAD_INPUT') return undefined;
      throw error;
    }
  }

  /**
   * Counts rows, not opened values: what can no longer be opened must still be replaceable. One after the other for an installation:
   * else fifty at once would all find room for one.
   */
  async #checkRoom(
    trx: Transaction<Tables>,
    { installationId, instanceId }: SecretOwner,
    name: string,
  ): Promise<void> {
    await sql`select pg_advisory_xact_lock(${LOCKS.secrets}::int, hashtext(${installationId}::text))`.execute(
      trx,
    );
    const rows = await trx
      .selectFrom('secrets')
      .select('name')
      .where('installation_id', '=', installationId)
      .where('instance_id', 'is not distinct from', instanceId)
      .execute();
    if (rows.length >= SECRETS_PER_INSTALLATION && !rows.some((row) => row.name === name))
      throw new HostError(
        'LIMIT',
        `secrets: at most ${SECRETS_PER_INSTALLATION} for one installation or instance.`,
      );
  }

  /** @throws HostError CONFLICT if the master key is another or the row is not this installation's */
  #openValue(owner: SecretOwner, name: string, ciphertext: Uint8Array): string {
    try {
      return this.#keyring.open('secret', context(owner, name), ciphertext).toString('utf8');
    } catch (cause) {
      const text = `secrets: ${name} cannot be opened with the present master key; enter it again, or restore the key.`;
      throw new HostError('CONFLICT', text, { cause });
    }
  }

  #keep(key: string, entry: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, entry);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > KEPT_INSTALLATIONS && oldest.done !== true) this.#kept.delete(oldest.value);
  }

  async #read({ installationId, instanceId }: SecretOwner): Promise<OpenSecrets> {
    const rows = await this.#db
      .selectFrom('secrets')
      .select(['name', 'handle', 'ciphertext', 'hosts', 'instance_id'])
      .where('installation_id', '=', installationId)
      .where((e) => e.or([e('instance_id', 'is', null), e('instance_id', '=', instanceId)]))
      .orderBy(sql`instance_id nulls first`)
      .execute();
    const byName = new Map(rows.map((row) => [row.name, row]));
    const opened = [...byName.values()].map(({ name, handle, ciphertext, hosts, instance_id }): Secret => ({
      name,
      handle,
      value: this.#openValue({ installationId, instanceId: instance_id }, name, ciphertext),
      hosts,
    }));
    return {
      byHandle: new Map(opened.map((secret) => [secret.handle, secret])),
      handles: Object.freeze(Object.fromEntries(opened.map(({ name, handle }) => [name, handle]))),
      redactor: createRedactor(opened),
    };
  }
}
