/**
 * Flows: long doings as rows of numbered idempotent steps, run by one executor and resumed at start. A step that fails with a HostError
 * ends the flow and says why; a process that dies between two steps leaves a row that the next start goes on with. `checkpoint` is
 * where the fault harness kills.
 */
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { HostSql } from '../database/connect.ts';
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import type { Tables } from '../database/tables.ts';

/** What a step knows: what the flow was started with and what earlier steps found. */
export type FlowState = Readonly<Record<string, unknown>>;

export interface FlowStep {
  readonly name: string;
  /** Must be safe to run again from its beginning. Returns what to add to the state. */
  run(state: FlowState): Promise<FlowState | void>;
}

export interface FlowDefinition {
  readonly kind: string;
  readonly steps: readonly FlowStep[];
  /** Puts things in order after a step was refused; also idempotent. */
  onFailure?(state: FlowState, error: WireError): Promise<void>;
}

export interface StartFlow {
  readonly kind: string;
  /** One flow at a time for each subject, for example 'installation:<id>'. */
  readonly subject: string;
  readonly tenantId: string | null;
  readonly state: FlowState;
}

export interface Flows {
  /** Runs a flow to its end. @throws HostError of the step that failed, CONFLICT if one runs for the subject already */
  run(flow: StartFlow): Promise<FlowState | undefined>;
  /** Goes on with what an earlier process left. @returns how many were found */
  resume(): Promise<number>;
}

export interface FlowsDeps {
  readonly db: Kysely<Tables>;
  /** Each flow holds a connection of its own while it runs, and on it a lock that ends with the process. */
  readonly sql: HostSql;
  readonly definitions: readonly FlowDefinition[];
  /** Called before and after each step; tests kill the process here. */
  readonly checkpoint?: (name: string) => Promise<void>;
  readonly onFault?: (error: unknown) => void;
}

const UNIQUE_VIOLATION = '23505';

export function createFlows(deps: FlowsDeps): Flows {
  const definitions = new Map(deps.definitions.map((definition) => [definition.kind, definition]));
  const executor = new Executor(deps, definitions);
  return {
    async run(flow) {
      const id = await insert(deps.db, flow);
      return executor.execute({ id, kind: flow.kind, state: flow.state, nextStep: 0 });
    },
    async resume() {
      const rows = await deps.db
        .selectFrom('flows')
        .selectAll()
        .where('status', '=', 'running')
        .orderBy('created_at')
        .execute();
      for (const row of rows) {
        try {
          await executor.execute({
            id: row.id,
            kind: row.kind,
            state: row.state as FlowState,
            nextStep: row.next_step,
          });
        } catch (error) {
          // The flow's own row holds the reason; one that fails must not keep the others from going on.
          deps.onFault?.(error);
        }
      }
      return rows.length;
    },
  };
}

async function insert(db: Kysely<Tables>, flow: StartFlow): Promise<string> {
  try {
    const row = await db
      .insertInto('flows')
      .values({ kind: flow.kind, subject: flow.subject, tenant_id: flow.tenantId, state: flow.state })
      .returning('id')
      .executeTakeFirstOrThrow();
    return row.id;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION) {
      throw new HostError('CONFLICT', 'Something is being done with this already; wait until it has ended.');
    }
    throw error;
  }
}

interface RunningFlow {
  readonly id: string;
  readonly kind: string;
  readonly state: FlowState;
  readonly nextStep: number;
}

class Executor {
  readonly #deps: FlowsDeps;
  readonly #definitions: ReadonlyMap<string, FlowDefinition>;

  constructor(deps: FlowsDeps, definitions: ReadonlyMap<string, FlowDefinition>) {
    this.#deps = deps;
    this.#definitions = definitions;
  }

  /** Undefined if another process runs this flow. */
  async execute(flow: RunningFlow): Promise<FlowState | undefined> {
    const held = await this.#deps.sql.reserve();
    try {
      const [lock] = await held<
        { free: boolean }[]
      >`select pg_try_advisory_lock(hashtextextended(${flow.id}, 1)) as free`;
      if (lock?.free !== true) return undefined;
      try {
        return await this.#steps(flow);
      } finally {
        await held`select pg_advisory_unlock(hashtextextended(${flow.id}, 1))`;
      }
    } finally {
      held.release();
    }
  }

  async #steps(flow: RunningFlow): Promise<FlowState> {
    const definition = this.#definitions.get(flow.kind);
    if (definition === undefined) throw new HostError('INTERNAL', `There is no flow ${flow.kind}.`);
    let state = flow.state;
    for (const [index, step] of definition.steps.entries()) {
      if (index < flow.nextStep) continue;
      try {
        await this.#deps.checkpoint?.(`${flow.kind}.${step.name}:before`);
        state = { ...state, ...(await step.run(state)) };
        await this.#deps.checkpoint?.(`${flow.kind}.${step.name}:done`);
      } catch (error) {
        await this.#fail(flow, definition, state, error);
        throw error;
      }
      await this.#save(flow.id, state, index + 1, index + 1 === definition.steps.length ? 'done' : 'running');
      await this.#deps.checkpoint?.(`${flow.kind}.${step.name}:saved`);
    }
    return state;
  }

  async #fail(
    flow: RunningFlow,
    definition: FlowDefinition,
    state: FlowState,
    error: unknown,
  ): Promise<void> {
    const wire: WireError =
      error instanceof HostError
        ? error.toWire()
        : {
            code: 'INTERNAL',
            message: 'Something went wrong on our side; the cause is in the operator’s log.',
          };
    await definition.onFailure?.(state, wire);
    await this.#deps.db
      .updateTable('flows')
      .set({ status: 'failed', error: wire, updated_at: sql<Date>`clock_timestamp()` })
      .where('id', '=', flow.id)
      .execute();
  }

  async #save(id: string, state: FlowState, nextStep: number, status: 'running' | 'done'): Promise<void> {
    await this.#deps.db
      .updateTable('flows')
      .set({ state, next_step: nextStep, status, updated_at: sql<Date>`clock_timestamp()` })
      .where('id', '=', id)
      .execute();
  }
}
