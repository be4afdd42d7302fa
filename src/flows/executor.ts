/**
 * Flows: long doings as rows of numbered idempotent steps, run by one executor and resumed at start. A step's own work may happen again;
 * what it writes in the host's database is committed together with the note that it is done, so that happens once. A refusal (HostError)
 * ends the flow and says why. A process that dies, is stopped or loses the database leaves a row that is gone on with: at the next
 * start, or soon by any process that lives. `checkpoint` is where the fault harness kills.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kysely, Transaction } from 'kysely';
import { sql } from 'kysely';
import * as v from 'valibot';
import { HostError, type WireError } from '../../sandbox/contract/envelope.ts';
import type { HostSql } from '../database/connect.ts';
import type { Tables } from '../database/tables.ts';
import { isDatabaseAway } from '../database/database-away.ts';
import { FlowLocks } from './locks.ts';

/** What a step knows: what the flow was started with and what earlier steps found. */
export type FlowState = Readonly<Record<string, unknown>>;

/** What a step leaves to be written, where that must happen once. */
export class StepEnd {
  /** Runs in the transaction that notes the step as done: both are there, or neither. May be tried more than once. */
  readonly write: (trx: Transaction<Tables>) => Promise<void>;
  /** After that, and only in this process: what is lost with it does not matter. */
  readonly after: () => void;

  constructor(write: StepEnd['write'], after: StepEnd['after']) {
    this.write = write;
    this.after = after;
  }
}

export interface FlowStep {
  readonly name: string;
  /** Must be safe to run again from its beginning. Returns what to add to the state, or what is to be written. */
  run(state: FlowState): Promise<FlowState | StepEnd | void>;
}

export interface FlowDefinition {
  readonly kind: string;
  readonly steps: readonly FlowStep[];
  /** Puts things in order after a step was refused; may be called again. What it returns is written together with the failure. */
  onFailure?(state: FlowState, error: WireError): Promise<StepEnd | void>;
}

export interface StartFlow {
  readonly kind: string;
  /** One flow at a time for each subject, for example 'installation:<id>'. */
  readonly subject: string;
  readonly tenantId: string | null;
  readonly state: FlowState;
}

export interface Flows {
  /**
   * Runs a flow to its end.
   * @throws HostError of the step that failed; CONFLICT if one of the subject has not ended; INTERRUPTED if it goes on later
   */
  run(flow: StartFlow): Promise<FlowState>;
  /** Goes on with what other processes left, unless they live. @returns how many were found */
  resume(): Promise<number>;
  /** Lets no flow begin another step, and waits until those that run have come to rest. */
  close(): Promise<void>;
}

export interface FlowsDeps {
  readonly db: Kysely<Tables>;
  /** For the locks by which processes know what the others run. */
  readonly sql: HostSql;
  readonly definitions: readonly FlowDefinition[];
  /** Called around each step; tests kill the process here. */
  readonly checkpoint?: (name: string) => Promise<void>;
  readonly onFault?: (error: unknown) => void;
}

const UNIQUE_VIOLATION = '23505';
/** A step whose sandbox process ended under it is run again at once, so often. */
const INTERRUPTED_TRIES = 3;
/** Waits between tries of a write while the database is away; about half a minute in all. */
const AWAY_RETRIES_MS = [50, 200, 1_000, 5_000, 10_000, 15_000] as const;
const State = v.record(v.string(), v.unknown());

export function createFlows(deps: FlowsDeps): Flows {
  return new Executor(deps);
}

interface RunningFlow {
  readonly id: string;
  readonly kind: string;
  readonly state: FlowState;
  readonly nextStep: number;
}

/** The flow stays as it is and is gone on with later. */
class Suspended extends HostError {
  constructor(message: string, cause?: unknown) {
    super('INTERRUPTED', message, { cause });
  }
}

class Executor implements Flows {
  readonly #deps: FlowsDeps;
  readonly #definitions: ReadonlyMap<string, FlowDefinition>;
  readonly #locks: FlowLocks;
  readonly #running = new Set<Promise<unknown>>();
  #closing = false;

  constructor(deps: FlowsDeps) {
    this.#deps = deps;
    this.#definitions = new Map(deps.definitions.map((definition) => [definition.kind, definition]));
    this.#locks = new FlowLocks(deps.sql);
  }

  async run(flow: StartFlow): Promise<FlowState> {
    const id = randomUUID();
    const ended = await this.#locked(id, async () => {
      if (!(await this.#insert(id, flow))) return undefined;
      return this.#steps({ id, kind: flow.kind, state: flow.state, nextStep: 0 });
    });
    if (ended === undefined)
      throw new HostError('CONFLICT', 'Something is being done with this already; wait until it has ended.');
    return ended;
  }

  async resume(): Promise<number> {
    const rows = await this.#deps.db
      .selectFrom('flows')
      .select('id')
      .where('status', '=', 'running')
      .orderBy('created_at')
      .execute();
    for (const { id } of rows) {
      if (this.#closing) break;
      try {
        await this.#resumeOne(id);
      } catch (error) {
        // The flow's own row holds the reason; one that fails must not keep the others from going on.
        this.#deps.onFault?.(error);
      }
    }
    return rows.length;
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.allSettled(this.#running);
  }

  /** Undefined if another has the lock, or if the work says so. */
  async #locked<T>(id: string, work: () => Promise<T>): Promise<T | undefined> {
    if (this.#closing) throw new Suspended('The host is stopping.');
    const running = (async () => {
      if (!(await this.#locks.take(id))) return undefined;
      try {
        return await work();
      } finally {
        await this.#locks.release(id);
      }
    })();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** False if one of its subject is there already. */
  async #insert(id: string, flow: StartFlow): Promise<boolean> {
    const { kind, subject, tenantId: tenant_id, state } = flow;
    try {
      await this.#deps.db.insertInto('flows').values({ id, kind, subject, tenant_id, state }).execute();
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION) return false;
      throw error;
    }
  }

  /** Undefined if another runs it, or if it has ended. */
  async #resumeOne(id: string): Promise<FlowState | undefined> {
    return this.#locked(id, async () => {
      // Read under the lock: whoever had it may have gone on since the row was found.
      const row = await this.#deps.db
        .selectFrom('flows')
        .select(['kind', 'state', 'next_step'])
        .where('id', '=', id)
        .where('status', '=', 'running')
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return this.#steps({ id, kind: row.kind, state: v.parse(State, row.state), nextStep: row.next_step });
    });
  }

  async #steps(flow: RunningFlow): Promise<FlowState> {
    const definition = this.#definitions.get(flow.kind);
    if (definition === undefined) {
      const error = new HostError('INTERNAL', `There is no flow ${flow.kind} in this version of the host.`);
      await this.#fail(flow, undefined, error);
      throw error;
    }
    let state = flow.state;
    for (const [index, step] of definition.steps.entries()) {
      if (index < flow.nextStep) continue;
      try {
        state = await this.#step({ ...flow, state, nextStep: index }, definition, step);
      } catch (error) {
        if (error instanceof Suspended) throw error;
        if (isDatabaseAway(error))
          throw new Suspended('The database is away; this goes on when it is back.', error);
        await this.#fail({ ...flow, state, nextStep: index }, definition, error);
        throw error;
      }
    }
    return state;
  }

  async #step(flow: RunningFlow, definition: FlowDefinition, step: FlowStep): Promise<FlowState> {
    const at = `${flow.kind}.${step.name}`;
    await this.#deps.checkpoint?.(`${at}:before`);
    await this.#keepLock(flow.id);
    const result = await this.#attempt(step, flow.state);
    await this.#deps.checkpoint?.(`${at}:done`);
    const end = result instanceof StepEnd ? result : undefined;
    const state = result instanceof StepEnd ? flow.state : { ...flow.state, ...result };
    const nextStep = flow.nextStep + 1;
    const status = nextStep === definition.steps.length ? 'done' : 'running';
    await this.#save(flow, { state, next_step: nextStep, status }, end, `${at}:writing`);
    end?.after();
    await this.#deps.checkpoint?.(`${at}:saved`);
    return state;
  }

  async #keepLock(id: string): Promise<void> {
    if (!(await this.#locks.keep(id))) throw new Suspended('Another process has taken this over.');
  }

  async #attempt(step: FlowStep, state: FlowState): Promise<FlowState | StepEnd | void> {
    for (let tries = 1; ; tries += 1) {
      if (this.#closing) throw new Suspended('The host is stopping; this goes on at its next start.');
      try {
        return await step.run(state);
      } catch (error) {
        // Of the module's own making is neither.
        const interrupted = error instanceof HostError && error.code === 'INTERRUPTED';
        if (!interrupted || (tries >= INTERRUPTED_TRIES && !this.#closing)) throw error;
      }
    }
  }

  async #fail(flow: RunningFlow, definition: FlowDefinition | undefined, error: unknown): Promise<void> {
    const wire: WireError =
      error instanceof HostError
        ? error.toWire()
        : {
            code: 'INTERNAL',
            message: 'Something went wrong on our side; the cause is in the operator’s log.',
          };
    if (!(error instanceof HostError)) this.#deps.onFault?.(error);
    const end = (await definition?.onFailure?.(flow.state, wire)) ?? undefined;
    await this.#save(flow, { status: 'failed', error: wire }, end, `${flow.kind}:failing`);
    end?.after();
  }

  /** Insists: the step's work has been done and must be noted. The number of the step keeps a second writer out. */
  async #save(
    flow: RunningFlow,
    change: {
      status: 'running' | 'done' | 'failed';
      state?: FlowState;
      next_step?: number;
      error?: WireError;
    },
    end: StepEnd | undefined,
    checkpoint: string,
  ): Promise<void> {
    let tries = 0;
    await insist(async () =>
      this.#deps.db.transaction().execute(async (trx) => {
        tries += 1;
        const row = await trx
          .updateTable('flows')
          .set({ ...change, updated_at: sql<Date>`clock_timestamp()` })
          .where('id', '=', flow.id)
          .where('status', '=', 'running')
          .where('next_step', '=', flow.nextStep)
          .returning('id')
          .executeTakeFirst();
        if (row === undefined) {
          // A try before this one was written, although its answer was lost.
          if (tries > 1) return;
          throw new Suspended('Another process has taken this over.');
        }
        await end?.write(trx);
        await this.#deps.checkpoint?.(checkpoint);
      }),
    );
  }
}

async function insist(work: () => Promise<void>): Promise<void> {
  for (const delayMs of AWAY_RETRIES_MS) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isDatabaseAway(error)) throw error;
      await sleep(delayMs);
    }
  }
  await work();
}
