/**
 * Frames between the supervisor and a runner: length-prefixed, batched into few writes, bodies raw UTF-8 so that a JSON body
 * is never escaped twice. Layout: u32 length of the rest | u8 kind | u32 id | u16 name length | name | body.
 * What each kind's id, name and body mean is said beside it; a frame that does not fit is a protocol error and ends the runner.
 */

/** From the supervisor. */
export const DOWN = {
  /** id 0, name = isolate key, body = JSON LoadInput. */
  load: 1,
  /** id 0, name = isolate key. */
  unload: 2,
  /** id = invocation, name = isolate key, body = JSON {limits, input}. */
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
  /** id 0, name = isolate key, body = JSON envelope {heapBytes, loadMs}. */
  loaded: 102,
  /** id = invocation, body = JSON {envelope, usage}. */
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

/** Collects frames and hands them to `write` once per turn of the event loop. */
export function frameWriter(
  write: (chunk: Buffer) => void,
): (kind: number, id: number, name: string, body: string) => void {
  let pending: Buffer[] = [];
  const flush = (): void => {
    const chunk = pending.length === 1 ? pending[0] : Buffer.concat(pending);
    pending = [];
    if (chunk !== undefined) write(chunk);
  };
  return (kind, id, name, body) => {
    const nameBytes = Buffer.byteLength(name);
    const bodyBytes = Buffer.byteLength(body);
    const frame = Buffer.allocUnsafe(HEADER_BYTES + nameBytes + bodyBytes);
    frame.writeUInt32LE(HEADER_BYTES - 4 + nameBytes + bodyBytes, 0);
    frame.writeUInt8(kind, 4);
    frame.writeUInt32LE(id, 5);
    frame.writeUInt16LE(nameBytes, 9);
    frame.write(name, HEADER_BYTES);
    frame.write(body, HEADER_BYTES + nameBytes);
    if (pending.push(frame) === 1) setImmediate(flush);
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
    let data = parts.length === 1 ? chunk : Buffer.concat(parts);
    while (data.length >= 4) {
      const length = data.readUInt32LE(0);
      if (length < HEADER_BYTES - 4 || length > maxBytes + HEADER_BYTES + 65_535)
        throw new Error(`frame of ${length} bytes`);
      wanted = 4 + length;
      if (data.length < wanted) break;
      on(decode(data, length));
      data = data.subarray(wanted);
      wanted = 4;
    }
    parts = data.length === 0 ? [] : [data];
    held = data.length;
  };
}

function decode(data: Buffer, length: number): Frame {
  const nameEnd = HEADER_BYTES + data.readUInt16LE(9);
  if (nameEnd > 4 + length) throw new Error('frame with a name longer than itself');
  return {
    kind: data.readUInt8(4),
    id: data.readUInt32LE(5),
    name: data.toString('utf8', HEADER_BYTES, nameEnd),
    body: data.toString('utf8', nameEnd, 4 + length),
  };
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
