/** What is wrong with an author's code, and where: the bundler's complaints and our own in one shape. */
import { refusal } from './refusal.ts';
import type { HostError } from '../../../sandbox/contract/envelope.ts';

/** One complaint; line and column count from 1. */
export interface BuildMessage {
  readonly file: string | undefined;
  readonly line: number | undefined;
  readonly column: number | undefined;
  readonly text: string;
}

/** `controllers/X.ts:3:9: what is wrong` */
export function formatMessage({ file, line, column, text }: BuildMessage): string {
  const where = [file, line, column].filter((part) => part !== undefined).join(':');
  return where === '' ? text : `${where}: ${text}`;
}

/** A complaint about a file as a whole. */
export function aboutFile(file: string, text: string): BuildMessage {
  return { file, line: undefined, column: undefined, text };
}

/** The refusal for code that cannot be bundled, all complaints in one text. */
export function buildRefusal(messages: readonly BuildMessage[]): HostError {
  return refusal('BUILD_FAILED', messages.map(formatMessage).join('\n'), { errors: messages });
}
