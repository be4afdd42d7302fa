/**
 * What a server of these tests stands on and what a test sees of it from outside: its two databases with connections of the test's own, its
 * data folder, and a folder for its temporary files.
 */
import { readdirSync } from 'node:fs';
import { sql } from 'kysely';
import { formatEndpoint } from '../../src/database/endpoint.ts';
import { temporaryFolder } from '../support/embedded.ts';
import { type Ground, openGround, startHost } from '../support/host.ts';
import type { ModuleSource } from '../support/modules.ts';
import { ServerProcess } from './process.ts';
import type { Settings } from './protocol.ts';

export class FaultGround implements AsyncDisposable {
  readonly ground: Ground;
  readonly temporary: string;
  readonly #undo: AsyncDisposableStack;

  private constructor(ground: Ground, temporary: string, undo: AsyncDisposableStack) {
    this.ground = ground;
    this.temporary = temporary;
    this.#undo = undo;
  }

  static async open(): Promise<FaultGround> {
    await using undo = new AsyncDisposableStack();
    const ground = undo.use(await openGround());
    const { path } = undo.use(temporaryFolder());
    return new FaultGround(ground, path, undo.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#undo.disposeAsync();
  }

  /** @returns the versions' ids, in order */
  async publish(...sources: ModuleSource[]): Promise<string[]> {
    await using host = await startHost(this.ground);
    const ids: string[] = [];
    for (const source of sources) ids.push((await host.publish(source)).versionId);
    return ids;
  }

  async publishFolder(folder: string): Promise<void> {
    await using host = await startHost(this.ground);
    await host.publishFolder(folder);
  }

  start(settings: Partial<Settings> = {}): Promise<ServerProcess> {
    const { host, modules, dataDir } = this.ground;
    const databaseUrl = formatEndpoint(host.endpoint);
    const modulesDatabaseUrl = formatEndpoint(modules.endpoint);
    return ServerProcess.start(
      { dataDir, databaseUrl, modulesDatabaseUrl, ...settings },
      { temporary: this.temporary },
    );
  }

  /** Staging folders in the servers' folder for temporary files. */
  stages(): string[] {
    return readdirSync(this.temporary).filter((name) => name.startsWith('bulkhead-stage-'));
  }

  async installations(id: string) {
    return this.ground.host.db.selectFrom('installations').selectAll().where('id', '=', id).execute();
  }

  async flowStatuses(installationId: string): Promise<string[]> {
    const rows = await this.ground.host.db
      .selectFrom('flows')
      .select(['kind', 'status'])
      .where('subject', '=', `installation:${installationId}`)
      .orderBy('created_at')
      .execute();
    return rows.map(({ kind, status }) => `${kind} ${status}`);
  }

  /** Names of the schema and roles in PostgreSQL that belong to an installation. */
  async leftInPostgres(installationId: string): Promise<string[]> {
    const id = `%${installationId.replaceAll('-', '')}%`;
    const rows = await this.ground.modules.sql<{ name: string }[]>`
      select nspname::text as name from pg_namespace where nspname like ${id}
      union all select rolname from pg_roles where rolname like ${id} order by 1`;
    return rows.map(({ name }) => name);
  }

  async tasks(installationId: string) {
    return this.ground.host.db
      .selectFrom('tasks')
      .selectAll()
      .where('installation_id', '=', installationId)
      .orderBy('created_at')
      .execute();
  }

  async attempts(taskId: string): Promise<(string | null)[]> {
    const rows = await this.ground.host.db
      .selectFrom('task_attempts')
      .select('outcome')
      .where('task_id', '=', taskId)
      .orderBy('id')
      .execute();
    return rows.map(({ outcome }) => outcome);
  }

  /** Jobs that graphile-worker still holds. */
  async jobsLeft(): Promise<number> {
    const { rows } = await sql<{ n: number }>`select count(*) as n from graphile_worker.jobs`.execute(
      this.ground.host.db,
    );
    return rows[0]?.n ?? 0;
  }
}
