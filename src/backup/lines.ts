/**
 * What a backup's file is made of: gzip over lines of JSON. A line that is an array is a row; one that is an object says what follows.
 * PostgreSQL itself writes and reads the rows (json_build_array of texts), so each value keeps exactly the form its own type gives it.
 */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';

export const BACKUP_VERSION = 1;

const Column = v.object({
  name: v.string(),
  /** As format_type writes it. */
  type: v.string(),
});

const TableLine = v.object({
  database: v.picklist(['host', 'modules']),
  schema: v.string(),
  name: v.string(),
  /** Those that hold values of their own: nothing that is computed. */
  columns: v.array(Column),
});

const SequenceLine = v.object({
  database: v.picklist(['host', 'modules']),
  /** Quoted, with its schema. */
  name: v.string(),
  value: v.string(),
  called: v.boolean(),
});

/** A module's schema: what is made before its rows, and what after them. */
const SchemaLine = v.object({
  installationId: v.string(),
  before: v.array(v.string()),
  after: v.array(v.string()),
});

const SealedKeys = v.object({
  salt: v.string(),
  nonce: v.string(),
  sealed: v.string(),
  tag: v.string(),
});

const HeaderLine = v.object({
  version: v.literal(BACKUP_VERSION),
  made: v.string(),
  program: v.string(),
  /** Files of migrations/ that had been applied, in order. */
  migrations: v.array(v.object({ name: v.string(), sha256: v.string() })),
  /** As in the settings: without the master key that opens it nothing of this backup is of use. */
  deployment: v.object({ id: v.string(), sealed: v.string() }),
  keys: v.optional(SealedKeys),
});

const Line = v.variant('is', [
  v.object({ is: v.literal('backup'), ...HeaderLine.entries }),
  v.object({ is: v.literal('table'), ...TableLine.entries }),
  v.object({ is: v.literal('sequence'), ...SequenceLine.entries }),
  v.object({ is: v.literal('schema'), ...SchemaLine.entries }),
  v.object({ is: v.literal('end'), rows: v.number() }),
]);

export type BackupLine = v.InferOutput<typeof Line>;
export type BackupHeader = Extract<BackupLine, { is: 'backup' }>;
export type TableOfBackup = Extract<BackupLine, { is: 'table' }>;
export type SchemaOfBackup = Extract<BackupLine, { is: 'schema' }>;
export type SequenceOfBackup = Extract<BackupLine, { is: 'sequence' }>;
export type SealedKeysOfBackup = v.InferOutput<typeof SealedKeys>;

/** What a file gives, in its order: a line that says something, or a row as PostgreSQL wrote it. */
export type Read = BackupLine | string;

export function isRow(read: Read): read is string {
  return typeof read === 'string';
}

const NEWLINE = 0x0a;
const ROW = '[';

/** @throws HostError BAD_INPUT for a file that is none of ours, was cut off, or was changed */
export async function* readLines(input: AsyncIterable<Buffer>): AsyncGenerator<Read> {
  let ended = false;
  try {
    for await (const text of split(input)) {
      if (ended) throw damaged('goes on after its end');
      const read = text.startsWith(ROW) ? text : lineOf(text);
      if (!isRow(read) && read.is === 'end') ended = true;
      yield read;
    }
  } catch (cause) {
    // zlib's own: not gzip, cut off, or its sum does not fit.
    if (cause instanceof Error && 'code' in cause && String(cause.code).startsWith('Z_'))
      throw damaged(`cannot be unpacked: ${cause.message}`, cause);
    throw cause;
  }
  if (!ended) throw damaged('was cut off');
}

/** Not readline: it takes U+2028, which rows may hold, for the end of a line. */
async function* split(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let held: Buffer[] = [];
  for await (const chunk of input) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      yield Buffer.concat([...held, chunk.subarray(from, at)]).toString('utf8');
      held = [];
      from = at + 1;
    }
    if (from < chunk.length) held.push(chunk.subarray(from));
  }
  if (held.length > 0) throw damaged('was cut off');
}

function lineOf(text: string): BackupLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged('holds a line that is no JSON', cause);
  }
  const parsed = v.safeParse(Line, value);
  if (!parsed.success) throw damaged(`holds a line that this version does not know: ${text.slice(0, 80)}`);
  return parsed.output;
}

function damaged(how: string, cause?: unknown): HostError {
  return new HostError(
    'BAD_INPUT',
    `This file is no whole backup of Bulkhead: it ${how}. Nothing was restored.`,
    cause === undefined ? {} : { cause },
  );
}

export function writeLine(line: BackupLine): string {
  return `${JSON.stringify(line)}\n`;
}
