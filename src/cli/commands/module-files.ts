/** Reading and writing of the author's commands: a missing file is told as such, and a file is written whole or not at all. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { HostError } from '../../../sandbox/contract/envelope.ts';

/** Where a command says what it did, a line at a time. */
export type Say = (text: string) => void;

export interface WriteOptions {
  /** Permission bits; what the system gives otherwise. */
  readonly mode?: number;
  /** Refuse to replace a file. */
  readonly fresh?: boolean;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** @throws HostError NOT_FOUND, BAD_INPUT for a folder */
export async function readInput(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new HostError('NOT_FOUND', `There is no file ${file}.`);
    if (codeOf(error) === 'EISDIR')
      throw new HostError('BAD_INPUT', `${file} is a folder; a file is expected.`);
    throw error;
  }
}

/** @throws HostError CONFLICT for a file that is there and must not be replaced; else what the disk says */
export async function writeWhole(
  file: string,
  content: Uint8Array | string,
  options: WriteOptions = {},
): Promise<void> {
  const mode = options.mode === undefined ? {} : { mode: options.mode };
  if (options.fresh === true) return writeFresh(file, content, mode);
  const unfinished = `${file}.${process.pid}.part`;
  try {
    await writeFile(unfinished, content, mode);
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function writeFresh(
  file: string,
  content: Uint8Array | string,
  mode: { mode?: number },
): Promise<void> {
  try {
    await writeFile(file, content, { ...mode, flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === 'EEXIST')
      throw new HostError('CONFLICT', `${file} exists already; it is not replaced.`);
    throw error;
  }
}
