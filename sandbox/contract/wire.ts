/**
 * Frames between the supervisor and a runner: length-prefixed, batched into few writes, bodies raw UTF-8 so that a JSON body
 * is never escaped twice. Layout: u32 length of the rest | u8 kind | u32 id | u16 name length | name | body.
 * What each kind's id, name and body mean is said beside it; a frame that does not fit is a protocol error and ends the runner.
 */

import type { InvocationInput, SharedContext } from './invocation.ts';

/** From the supervisor. */
export const DOWN = {
  /** id 0, name = isolate key, body = JSON LoadInput. */
  load: 1,
  /** id 0, name = isolate key. */
  unload: 2,
  /** id = invocation, name = isolate key, body = JSON of limits, of what is shared and of the rest of the input, each on a line. */
  invoke: 3,
  /** id = invocation, name = call number, body = JSON envelope. */
  answer: 4,
  /** id = invocation: stop it. name = code. */
  cancel: 5,
  /** id = sequence. */
  ping: 6,
} as const;

/** From the runner. */
export const UP = {
  /** id 0: the runner is up. */
  ready: 101,
  /** id 0, name = isolate key, body = JSON envelope of a LoadReport. */
  loaded: 102,
  /** id = invocation, name = microseconds, entries and 1 if it is the guest's own word (else 0), body = JSON envelope. */
  result: 103,
  /** id = invocation, name = "callNumber capability.op", body = JSON input. */
  call: 104,
  /** id = invocation, name = capability.op, body = JSON input: no answer wanted. */
  notify: 105,
  /** id = sequence, body = JSON {isolates, heapBytes}. */
  pong: 106,
  /** id 0, name = isolate key, body = reason: the isolate is gone (memory, time). */
  lost: 107,
} as const;

/** What is noted as entered while a module is being loaded: no invocation's number. */
export const LOADING_MARK = 0xffff_ffff;

const HEADER_BYTES = 11;

/** The number after `last`: 32 bits wide, and neither 0 (no invocation) nor LOADING_MARK, nor one that is in use. */
export function nextInvocation(last: number, isOpen: (id: number) => boolean): number {
  const next = (last % (LOADING_MARK - 1)) + 1;
  return isOpen(next) ? nextInvocation(next, isOpen) : next;
}

export interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly name: string;
  readonly body: string;
}

const ROOM_BYTES = 64 * 1024;
/** Longer texts are measured before room is made for them. */
const LONG_CHARACTERS = 8 * 1024;
/** UTF-8 takes at most so many bytes for a character of a JavaScript string. */
const WIDEST = 3;

function mostBytes(text: string): number {
  return text.length > LONG_CHARACTERS ? Buffer.byteLength(text) : text.length * WIDEST;
}

/** Collects frames and hands them to `write` once per turn of the event loop, as one piece of memory wherever they fit one. */
export function frameWriter(
  write: (chunk: Buffer) => void,
): (kind: number, id: number, name: string, body: string) => void {
  const full: Buffer[] = [];
  let room = Buffer.alloc(0);
  let used = 0;
  let waiting = false;
  const flush = (): void => {
    waiting = false;
    const last = room.subarray(0, used);
    // What was handed over belongs to the socket until it is sent.
    room = room.subarray(used);
    used = 0;
    write(full.length === 0 ? last : Buffer.concat([...full.splice(0), last]));
  };
  return (kind, id, name, body) => {
    const most = HEADER_BYTES + mostBytes(name) + mostBytes(body);
    if (room.length - used < most) {
      if (used > 0) full.push(room.subarray(0, used));
      room = Buffer.allocUnsafeSlow(Math.max(ROOM_BYTES, most));
      used = 0;
    }
    const nameBytes = name === '' ? 0 : room.write(name, used + HEADER_BYTES);
    const bodyBytes = room.write(body, used + HEADER_BYTES + nameBytes);
    room.writeUInt32LE(HEADER_BYTES - 4 + nameBytes + bodyBytes, used);
    room.writeUInt8(kind, used + 4);
    room.writeUInt32LE(id, used + 5);
    room.writeUInt16LE(nameBytes, used + 9);
    used += HEADER_BYTES + nameBytes + bodyBytes;
    if (waiting) return;
    waiting = true;
    setImmediate(flush);
  };
}

/**
 * Turns chunks into frames. Throws on a frame longer than maxBytes or shorter than its own header: the other side is then
 * no longer trusted to speak this protocol.
 */
export function frameReader(maxBytes: number, on: (frame: Frame) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let held = 0;
  let wanted = 4;
  return (chunk) => {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted) return;
    const data = parts.length === 1 ? chunk : Buffer.concat(parts);
    let at = 0;
    wanted = 4;
    while (data.length - at >= 4) {
      const length = data.readUInt32LE(at);
      if (length < HEADER_BYTES - 4 || length > maxBytes + HEADER_BYTES + 65_535)
        throw new Error(`frame of ${length} bytes`);
      wanted = 4 + length;
      if (data.length - at < wanted) break;
      on(decode(data, at, at + wanted));
      at += wanted;
      wanted = 4;
    }
    held = data.length - at;
    parts = held === 0 ? [] : [data.subarray(at)];
  };
}

function decode(data: Buffer, at: number, end: number): Frame {
  const nameAt = at + HEADER_BYTES;
  const nameEnd = nameAt + data.readUInt16LE(at + 9);
  if (nameEnd > end) throw new Error('frame with a name longer than itself');
  return {
    kind: data.readUInt8(at + 4),
    id: data.readUInt32LE(at + 5),
    name: nameEnd === nameAt ? '' : data.toString('utf8', nameAt, nameEnd),
    body: data.toString('utf8', nameEnd, end),
  };
}

const sharedTexts = new WeakMap<SharedContext, string>();

/** An input as it crosses: two JSON texts, in which no line break can stand, with one between them. What is shared is written once. */
export function inputText({ shared, context, calls }: InvocationInput): string {
  let text = sharedTexts.get(shared);
  if (text === undefined) sharedTexts.set(shared, (text = JSON.stringify(shared)));
  return `${text}\n${JSON.stringify({ context, calls })}`;
}

/** What a runner needs to make one isolate. */
export interface LoadInput {
  /** For stack traces: 'Product/VPSHosting'. */
  readonly name: string;
  readonly script: string;
  readonly views: Readonly<Record<string, string>>;
  readonly lang: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly heapMb: number;
}

/** What an isolate took to make, by its parts, and what it holds. */
export interface LoadReport {
  /** An empty isolate with its context. */
  readonly isolateMs: number;
  /** The guest runtime in it, hardened. */
  readonly runtimeMs: number;
  /** The module's definition: compiled, not yet evaluated. */
  readonly moduleMs: number;
  readonly heapBytes: number;
}

/** Bounds of one invocation, enforced in the runner first and by the supervisor behind it. */
export interface InvocationLimits {
  readonly entryMs: number;
  readonly cpuHardMs: number;
  readonly callsInFlight: number;
  readonly calls: number;
}

/** What one invocation used. */
export interface Usage {
  readonly cpuUs: number;
  readonly entries: number;
  readonly calls: number;
}

/** Whose words a result is: the runner's own verdict, or what came out of the isolate, which may claim less. */
export interface ResultOrigin {
  readonly byGuest: boolean;
}
