/**
 * The input of a capability call or notification, from a text that may be anything to what the op's schema lets through. A parser's
 * time is the host's time, so it is bounded by more than bytes: by how many things there are in the text, and by stopping at the first
 * that does not fit (half a million wrong tags took 0.7 s to complain about, one by one).
 */
import * as v from 'valibot';
import { findOp } from '../contract/capabilities.ts';
import { HostError } from '../contract/envelope.ts';
import { LIMITS } from '../contract/limits.ts';

/** @throws HostError NOT_FOUND, LIMIT or BAD_INPUT, with a message for the module's author */
export function readCall(path: string, text: string): unknown {
  const found = findOp(path);
  if (found === undefined || found.op.notify)
    throw new HostError('NOT_FOUND', `There is no capability call ${path}.`);
  return readInput(path, found.op.input, text, LIMITS.callInputBytes);
}

/** Undefined for what is no notification: nobody waits for an answer. */
export function readNotice(path: string, text: string): { readonly input: unknown } | undefined {
  const found = findOp(path);
  if (found === undefined || !found.op.notify) return undefined;
  try {
    return { input: readInput(path, found.op.input, text, LIMITS.callInputBytes) };
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

function readInput(path: string, schema: v.GenericSchema, text: string, maxBytes: number): unknown {
  if (Buffer.byteLength(text) > maxBytes)
    throw new HostError('LIMIT', `${path}: the input is over ${maxBytes} bytes.`);
  if (countItems(text, LIMITS.callInputItems) > LIMITS.callInputItems)
    throw new HostError('LIMIT', `${path}: the input holds more than ${LIMITS.callInputItems} items.`);
  const parsed = v.safeParse(schema, parseJson(path, text), { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw new HostError('BAD_INPUT', describeIssue(path, parsed.issues[0]));
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HostError('BAD_INPUT', `${path}: the input is no JSON.`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/** Lists, objects and what is in them, without parsing; stops counting beyond `enough`. Right for any JSON. */
export function countItems(text: string, enough: number): number {
  let count = 1;
  for (let at = 0; at < text.length && count <= enough; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === COMMA || code === OPENING_BRACKET || code === OPENING_BRACE) count++;
  }
  return count;
}

/** Where the string that begins at `start` has its closing quote. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    let before = quote - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((quote - before) % 2 === 1) return quote;
  }
  return text.length;
}

function describeIssue(path: string, issue: v.BaseIssue<unknown>): string {
  const at = v.getDotPath(issue);
  return `${path}: ${at === null ? '' : `${at}: `}${issue.message}`.slice(0, 500);
}
