/**
 * Faults as data: what to break, how, and how often. The same records serve tests, the page's buttons, HTTP and SMTP.
 * `when` tells on which side of the side effect it breaks: `before`, nothing happened; `after`, it happened and the answer
 * is lost, which is the case that makes careless retries buy two servers.
 */
import { FAKECLOUD_LIMITS } from './limits.ts';
import { flag, integer, nullable, object, oneOf, ShapeError, text, withDefault } from './shape.ts';
import type { Of } from './shape.ts';

const kind = oneOf('status', 'delay', 'drop', 'slow-body', 'garbage');
const when = oneOf('before', 'after');

const faultInputShape = object({
  match: withDefault(
    object({
      method: withDefault(nullable(text({ max: 16 })), null),
      path: withDefault(nullable(text({ max: FAKECLOUD_LIMITS.globChars })), null),
    }),
    { method: null, path: null },
  ),
  kind,
  status: withDefault(nullable(integer({ min: 200, max: 599 })), null),
  delayMs: withDefault(nullable(integer({ min: 0, max: FAKECLOUD_LIMITS.faultDelayMs })), null),
  when: withDefault(nullable(when), null),
  times: withDefault(nullable(integer({ min: 1, max: FAKECLOUD_LIMITS.faultTimes })), null),
  forever: withDefault(flag(), false),
});

export const faultShape = object({
  id: text(),
  match: object({ method: nullable(text()), path: nullable(text()) }),
  kind,
  status: integer(),
  delayMs: integer(),
  when,
  /** How often it still strikes; null is for ever. */
  left: nullable(integer()),
  hits: integer(),
});
export type Fault = Of<typeof faultShape>;

/** What a caller writes. `path` is exact, or a glob: `*` stays inside one segment, `**` crosses them; `/v2/**` has `/v2` too. */
export interface FaultInput {
  readonly match?: { readonly method?: string; readonly path?: string };
  readonly kind: Fault['kind'];
  /** 503 when left out; only for kind `status`. For SMTP the reply code. */
  readonly status?: number;
  /** Before the answer, or for `slow-body` spread over it; 1000 when left out. */
  readonly delayMs?: number;
  /** `before` when left out; `slow-body` is always `after`, it needs a body. */
  readonly when?: Fault['when'];
  /** 1 when left out. */
  readonly times?: number;
  readonly forever?: boolean;
}

/** Reads a fault from outside. @throws ShapeError with the place and what was expected there */
export function readFault(value: unknown, id: string): Fault {
  const input = faultInputShape(value, 'fault');
  if (input.forever && input.times !== null) throw new ShapeError('fault: give times or forever, not both');
  if (input.kind === 'slow-body' && input.when === 'before') {
    throw new ShapeError('fault.when: slow-body slows an answer down, so it can only be after');
  }
  if (input.match.path !== null) pathPattern(input.match.path);
  const slow = input.kind === 'delay' || input.kind === 'slow-body';
  return {
    id,
    match: { method: input.match.method?.toUpperCase() ?? null, path: input.match.path },
    kind: input.kind,
    status: input.status ?? 503,
    delayMs: input.delayMs ?? (slow ? 1_000 : 0),
    when: input.kind === 'slow-body' ? 'after' : (input.when ?? 'before'),
    left: input.forever ? null : (input.times ?? 1),
    hits: 0,
  };
}

/** The pattern of a path in a fault. @throws ShapeError when it has so many stars that matching it could be slow */
export function pathPattern(glob: string): RegExp {
  if (glob.split('*').length - 1 > FAKECLOUD_LIMITS.globStars) {
    throw new ShapeError(`fault.match.path: more than ${FAKECLOUD_LIMITS.globStars} stars`);
  }
  const [head, tail] = glob.endsWith('/**') ? [glob.slice(0, -3), '(?:/.*)?'] : [glob, ''];
  const body = head
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : literal(part)))
    .join('');
  return new RegExp(`^${body}${tail}$`);
}

function literal(part: string): string {
  return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

export class Faults {
  readonly #faults: Fault[] = [];
  #next = 1;

  add(value: unknown): Fault {
    if (this.#faults.length >= FAKECLOUD_LIMITS.faults) {
      throw new ShapeError(`fault: there are ${FAKECLOUD_LIMITS.faults} already; clear some first`);
    }
    const fault = readFault(value, `fault-${this.#next}`);
    this.#next += 1;
    this.#faults.push(fault);
    return fault;
  }

  list(): readonly Fault[] {
    return this.#faults;
  }

  remove(id: string): boolean {
    const index = this.#faults.findIndex((fault) => fault.id === id);
    if (index >= 0) this.#faults.splice(index, 1);
    return index >= 0;
  }

  clear(): void {
    this.#faults.length = 0;
  }

  /** The oldest fault with strikes left that matches, with one strike taken. A spent fault stays listed, with its hits. */
  take(method: string, path: string): Fault | null {
    const fault = this.#faults.find((candidate) => strikes(candidate, method, path));
    if (fault === undefined) return null;
    fault.hits += 1;
    if (fault.left !== null) fault.left -= 1;
    return fault;
  }
}

/** Mail is only hit by faults that say so: "everything answers 503" means the web, where 503 is a status. */
function strikes(fault: Fault, method: string, path: string): boolean {
  if (fault.left === 0) return false;
  if (method === 'SMTP' && fault.match.method !== 'SMTP' && !fault.match.path?.startsWith('/smtp'))
    return false;
  if (fault.match.method !== null && fault.match.method !== method) return false;
  return fault.match.path === null || pathPattern(fault.match.path).test(path);
}
