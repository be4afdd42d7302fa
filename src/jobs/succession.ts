/**
 * From one task to the next. A run whose task is then over, with nobody to be told, hands its place straight to the oldest waiting task
 * of its installation: the end of the one and the beginning of the other are one transaction, sent with one write, and runs of one installation
 * that end at the same moment share it (docs/decisions/0040). Where the last runs were short and did nothing outside of the sandbox, the next
 * begin without being written down, from a list of those that wait: their place does not wait for a transaction at all (0041).
 * Fair all the same: after a while a chain of tasks goes back to the queue if anybody waits there, and behind him.
 */
import { sql } from 'kysely';
import type { CompiledQuery, RawBuilder } from 'kysely';

import { executeTogether } from '../database/host-driver.ts';
import { startedRun } from './claim.ts';
import type { Draft, Run, StartedRow } from './claim.ts';
import { beginDrafts, handOver } from './hand-over.ts';
import type { HandOver, HandOverRow, Line, NextRow, Record, Wish } from './hand-over.ts';
import { JOB_LIMITS } from './limits.ts';
import { installationLock, lockPlaces, promote } from './places.ts';
import { promoteTasks } from './recovery.ts';
import { taskFrom } from './task.ts';
import type { Db } from './task.ts';

/** A draft is a run that is not written down. */
export type Next = Run | Draft | undefined;

/** `other` if the task is no more what it was when the run began (cancelled, taken over): nothing was written. */
export type Ended = { readonly kind: 'ended'; readonly next: Next } | { readonly kind: 'other' };

/** A run that ended, and its task with it. */
export interface Ending extends Line {
  readonly record: Record;
  readonly wish: Wish;
  /** It was short and did nothing outside. */
  readonly wasQuiet: boolean;
}

/** The end of a draft; without a record if it is to be as if it had not been. */
export type DraftEnding = Omit<Ending, 'record'> & {
  readonly draft: Draft;
  readonly record: Record | undefined;
};

export interface Succession {
  /** Rejects if the database cannot be written to: then nothing was. */
  end(ending: Ending): Promise<Ended>;
  /** Says what comes next as soon as it is known, which may be before the end is written: should that fail, the task still waits. */
  endDraft(ending: DraftEnding): Promise<Next>;
  /** Resolves when nothing more is to be written. */
  settled(): Promise<void>;
  /** Writes down that a draft runs; undefined if it may not: its task waits no more, or the installation was paused. */
  begin(line: Line, draft: Draft): Promise<Run | undefined>;
}

/** Calls again what failed for the database's sake. */
type Insist = <T>(work: () => Promise<T>) => Promise<T>;

interface Item {
  readonly record: Record | undefined;
  readonly wish: Wish;
  /** Its place went on already. */
  isServed: boolean;
  readonly settled: PromiseWithResolvers<Ended>;
}

interface Begin {
  readonly draft: Draft;
  readonly startedAt: number;
  readonly settled: PromiseWithResolvers<Run | undefined>;
}

/** What a worker has in hand of an installation's tasks. */
interface Hand {
  readonly items: Item[];
  readonly begins: Begin[];
  /** Drafts that run, by task, with when they began. */
  readonly drafts: Map<string, number>;
  /** Waiting tasks, oldest first. */
  ahead: readonly Draft[];
  aheadAt: number;
  /** Places of its lane, as they were written last. */
  lanePlaces: number;
  /** Ends the waiting for more ends to write with the next transaction. */
  hurry: (() => void) | undefined;
}

/**
 * All parameters are sizes and ids, so that one plan is as good as another, and planning these statements takes longer than running them. By the
 * indexes: a plan made while the tables were small would read all of them later.
 */
const PLANNING = 'set local plan_cache_mode = force_generic_plan; set local enable_seqscan = off';
const OTHER: Ended = { kind: 'other' };

function isTask(row: HandOverRow): row is HandOverRow & NextRow {
  return row.id !== null;
}

function nextOf({ attempt_id: attemptId, ...row }: NextRow): Run | Draft {
  const task = taskFrom(row);
  return attemptId === null
    ? { task, attempt: task.attempts + 1 }
    : { task, attemptId, attempt: task.attempts };
}

interface Answer {
  readonly begun: readonly StartedRow[];
  readonly rows: readonly HandOverRow[];
}

/** Its statements need nothing of one another's answers, so that they leave with one write. */
async function writeAtOnce(
  db: Db,
  how: HandOver,
  begins: RawBuilder<StartedRow> | undefined,
): Promise<Answer> {
  const compiled = (query: RawBuilder<unknown>): CompiledQuery => query.compile(db);
  const lock = compiled(installationLock(how.installationId));
  const last = compiled(handOver(how));
  const queries = begins === undefined ? [lock, last] : [lock, compiled(begins), last];
  const answers = await db
    .getExecutor()
    .provideConnection(async (connection) => executeTogether(connection, `begin; ${PLANNING}`, queries));
  return {
    // What a row is, only its reader knows, as everywhere in HostConnection.
    begun: begins === undefined ? [] : (answers[1] as StartedRow[]),
    rows: answers.at(-1) as HandOverRow[],
  };
}

/** The same where places may become free that nobody here goes on with: others waiting are let in with it, or neither happens. */
async function writeAndPromote(
  db: Db,
  how: HandOver,
  begins: RawBuilder<StartedRow> | undefined,
): Promise<Answer> {
  return db.transaction().execute(async (trx) => {
    const places = await lockPlaces(trx, how.installationId);
    if (places === undefined) return { begun: [], rows: [] };
    for (const setting of PLANNING.split('; ')) await sql.raw(setting).execute(trx);
    const begun = (await begins?.execute(trx))?.rows ?? [];
    const { rows } = await handOver(how).execute(trx);
    await promote(trx, places);
    return { begun, rows };
  });
}

/** How many runs of an installation in a row were quiet, for as many installations as had some lately. */
class Quiet {
  readonly #inARow = new Map<string, number>();

  holds(installationId: string): boolean {
    return (this.#inARow.get(installationId) ?? 0) >= JOB_LIMITS.draftsAfter;
  }

  note(installationId: string, wasQuiet: boolean): void {
    const before = this.#inARow.get(installationId) ?? 0;
    this.#inARow.delete(installationId);
    if (wasQuiet) this.#inARow.set(installationId, Math.min(before + 1, JOB_LIMITS.draftsAfter));
    const [oldest] = this.#inARow.keys();
    if (this.#inARow.size > JOB_LIMITS.quietKept && oldest !== undefined) this.#inARow.delete(oldest);
  }
}

function forgetStale(hand: Hand): void {
  if (performance.now() - hand.aheadAt > JOB_LIMITS.laneMs) hand.ahead = [];
}

function compose(
  line: Line,
  hand: Hand,
  isQuiet: boolean,
  items: readonly Item[],
  begins: readonly Begin[],
): HandOver {
  forgetStale(hand);
  if (!isQuiet) hand.ahead = [];
  const beginning = new Set(begins.map(({ draft }) => draft.task.id));
  const drafts = [...hand.drafts.keys()].filter((id) => !beginning.has(id));
  const ending = [...items, ...hand.items].flatMap(({ record }) =>
    record === undefined || record.attemptId !== null ? [] : [record.taskId],
  );
  const ahead = Math.max(0, Math.min(4 * items.length, JOB_LIMITS.aheadTasks) - hand.ahead.length);
  return {
    ...line,
    words: items.map(({ record, wish, isServed }) => ({ record, wish: isServed ? false : wish })),
    drafts: drafts.length,
    inHand: [...hand.drafts.keys(), ...ending, ...hand.ahead.map(({ task }) => task.id)],
    known: hand.ahead.length,
    ahead: isQuiet ? ahead : null,
    hasLane: hand.lanePlaces > 0,
  };
}

/** Lets those whose place waits for nothing but a task go on with what is known to wait. */
function serve(hand: Hand): void {
  forgetStale(hand);
  for (const item of hand.items) {
    if (hand.ahead.length === 0) return;
    if (item.isServed || item.wish !== true || (item.record !== undefined && item.record.attemptId !== null))
      continue;
    item.isServed = true;
    item.settled.resolve({ kind: 'ended', next: takeAhead(hand) });
  }
}

function takeAhead(hand: Hand): Draft | undefined {
  const [next, ...rest] = hand.ahead;
  hand.ahead = rest;
  if (next !== undefined) hand.drafts.set(next.task.id, performance.now());
  return next;
}

/** What handOver wrote of the lane. */
function placesAfter({ ahead, drafts, known }: HandOver, { rows }: Answer): number {
  const told = rows.filter(isTask).length;
  return drafts + (ahead === null ? 0 : Math.min(rows[0]?.granted ?? 0, known + told));
}

function settle(hand: Hand, items: readonly Item[], begins: readonly Begin[], { begun, rows }: Answer): void {
  for (const { draft, settled } of begins) {
    const row = begun.find(({ id }) => id === draft.task.id);
    hand.drafts.delete(draft.task.id);
    settled.resolve(row === undefined ? undefined : startedRun(row));
  }
  const finished = new Set(rows[0]?.finished);
  const tasks = rows.filter(isTask).map(nextOf);
  const told = tasks.filter((task) => !('attemptId' in task));
  if (told.length > 0) {
    hand.ahead = [...hand.ahead, ...told];
    hand.aheadAt = performance.now();
  }
  const runs = tasks.filter((task) => 'attemptId' in task);
  let granted = rows[0]?.granted ?? 0;
  for (const { record, wish, isServed, settled } of items) {
    if (isServed) continue;
    if (record !== undefined && record.attemptId !== null && !finished.has(record.taskId)) {
      settled.resolve(OTHER);
      continue;
    }
    const next = wish !== false && granted-- > 0 ? (runs.shift() ?? takeAhead(hand)) : undefined;
    settled.resolve({ kind: 'ended', next });
  }
  serve(hand);
}

/** Whether somebody waits for the next transaction, or it is worth its while. */
function isDue({ items, begins, ahead }: Hand): boolean {
  return (
    begins.length > 0 ||
    items.length >= JOB_LIMITS.aheadTasks ||
    ahead.length === 0 ||
    items.some(({ isServed }) => !isServed)
  );
}

/** As long as all places go on by themselves, the ends of some ms share a transaction. */
async function linger(hand: Hand): Promise<void> {
  if (isDue(hand)) return;
  const over = Promise.withResolvers<void>();
  hand.hurry = over.resolve;
  const timer = setTimeout(over.resolve, JOB_LIMITS.lingerMs);
  await over.promise;
  clearTimeout(timer);
  hand.hurry = undefined;
}

function leave(): Item {
  return { record: undefined, wish: false, isServed: false, settled: Promise.withResolvers<Ended>() };
}

/** One transaction at a time for each worker and installation; what ends meanwhile shares the next. */
export function createSuccession(db: Db, insist: Insist): Succession {
  const hands = new Map<string, Hand>();
  const quiet = new Quiet();
  const draining = new Map<Hand, Promise<void>>();

  const turn = async (line: Line, hand: Hand): Promise<void> => {
    const items = hand.items.splice(0, JOB_LIMITS.successionBatch);
    const begins = hand.begins.splice(0);
    const how = compose(line, hand, quiet.holds(line.installationId), items, begins);
    const ages = begins.map(({ draft, startedAt }) => ({
      taskId: draft.task.id,
      ageMs: performance.now() - startedAt,
    }));
    const beginning = begins.length === 0 ? undefined : beginDrafts(line, ages);
    const write = items.every(({ isServed, wish }) => isServed || wish === true)
      ? writeAtOnce
      : writeAndPromote;
    try {
      const answer = await insist(async () => write(db, how, beginning));
      hand.lanePlaces = placesAfter(how, answer);
      // The sweep would do it too, later.
      if (answer.rows[0]?.isSpare === true && write === writeAtOnce)
        await promoteTasks(db, line.installationId).catch(() => undefined);
      settle(hand, items, begins, answer);
    } catch (error) {
      for (const { settled } of [...items, ...begins]) settled.reject(error);
    }
  };

  const drain = async (key: string, line: Line, hand: Hand): Promise<void> => {
    while (hand.items.length > 0 || hand.begins.length > 0) {
      await linger(hand);
      await turn(line, hand);
      // Nobody is on the lane who would still close it.
      if (hand.lanePlaces > 0 && hand.drafts.size === 0 && hand.items.length === 0) hand.items.push(leave());
    }
    draining.delete(hand);
    if (hand.drafts.size === 0) hands.delete(key);
  };

  const handOf = (line: Line): { readonly hand: Hand; readonly wake: () => void } => {
    const key = `${line.workerId} ${line.installationId}`;
    const hand = hands.get(key) ?? {
      items: [],
      begins: [],
      drafts: new Map(),
      ahead: [],
      aheadAt: 0,
      lanePlaces: 0,
      hurry: undefined,
    };
    hands.set(key, hand);
    const wake = (): void => {
      if (isDue(hand)) hand.hurry?.();
      if (!draining.has(hand)) draining.set(hand, drain(key, line, hand));
    };
    return { hand, wake };
  };

  const say = ({
    record,
    wish,
    wasQuiet,
    ...line
  }: Omit<Ending, 'record'> & Pick<DraftEnding, 'record'>): Item => {
    const { hand, wake } = handOf(line);
    quiet.note(line.installationId, wasQuiet);
    const item: Item = { record, wish, isServed: false, settled: Promise.withResolvers<Ended>() };
    hand.items.push(item);
    serve(hand);
    wake();
    return item;
  };

  return {
    settled: async () => void (await Promise.all(draining.values())),
    end: async (ending) => say(ending).settled.promise,
    async endDraft({ draft, ...ending }) {
      handOf(ending).hand.drafts.delete(draft.task.id);
      const item = say(ending);
      // Nobody waits for the writing of the end of one that went on: if it fails, the task is still waiting.
      const ended = await item.settled.promise;
      return ended.kind === 'ended' ? ended.next : undefined;
    },
    async begin(line, draft) {
      const { hand, wake } = handOf(line);
      const settled = Promise.withResolvers<Run | undefined>();
      hand.begins.push({ draft, startedAt: hand.drafts.get(draft.task.id) ?? performance.now(), settled });
      wake();
      return settled.promise;
    },
  };
}
