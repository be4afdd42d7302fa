/**
 * Passwords as scrypt hashes that carry their own parameters, so that the cost can rise while old hashes still verify.
 * Hashing takes memory and time by design: a small gate bounds how many run at once.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { AUTH_LIMITS } from './limits.ts';

interface Parameters {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

const CURRENT: Parameters = {
  logN: AUTH_LIMITS.scryptLogN,
  r: AUTH_LIMITS.scryptR,
  p: AUTH_LIMITS.scryptP,
};
const FORMAT =
  /^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9_-]{16,64})\$([A-Za-z0-9_-]{32,128})$/;

let running = 0;
const waiting: (() => void)[] = [];

async function gate<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AUTH_LIMITS.hashesAtOnce) {
    if (waiting.length >= AUTH_LIMITS.hashesWaiting)
      throw new HostError('LIMIT', 'Too many sign-ins at this moment; try again in a few seconds.');
    await new Promise<void>((resolve) => waiting.push(resolve));
  } else {
    running++;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

function derive(password: string, salt: Buffer, parameters: Parameters): Promise<Buffer> {
  const options = {
    N: 2 ** parameters.logN,
    r: parameters.r,
    p: parameters.p,
    maxmem: AUTH_LIMITS.scryptMaxMemoryBytes,
  };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, AUTH_LIMITS.hashBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** What is wrong with a new password, in words for the person; undefined if nothing is. */
export function passwordFault(password: string): string | undefined {
  if (password.length < AUTH_LIMITS.passwordMinChars)
    return `Use at least ${AUTH_LIMITS.passwordMinChars} characters.`;
  if (password.length > AUTH_LIMITS.passwordMaxChars)
    return `Use at most ${AUTH_LIMITS.passwordMaxChars} characters.`;
  return undefined;
}

/** `scrypt$ln=15,r=8,p=1$salt$hash`. @throws BAD_INPUT for a password that is too short or too long */
export async function hashPassword(password: string): Promise<string> {
  const fault = passwordFault(password);
  if (fault !== undefined) throw new HostError('BAD_INPUT', fault, { data: { password: [fault] } });
  const salt = randomBytes(AUTH_LIMITS.saltBytes);
  const hash = await gate(() => derive(password, salt, CURRENT));
  const parameters = `ln=${CURRENT.logN},r=${CURRENT.r},p=${CURRENT.p}`;
  return `scrypt$${parameters}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/**
 * True if the password is the one behind the hash. Without a hash (no such account) it works as long, on a hash of nobody,
 * so that the time does not tell which accounts exist.
 */
export async function verifyPassword(password: string, stored: string | undefined): Promise<boolean> {
  const match = FORMAT.exec(stored ?? '');
  const parameters =
    match === null ? CURRENT : { logN: Number(match[1]), r: Number(match[2]), p: Number(match[3]) };
  const salt =
    match === null ? Buffer.alloc(AUTH_LIMITS.saltBytes) : Buffer.from(match[4] ?? '', 'base64url');
  const expected =
    match === null ? Buffer.alloc(AUTH_LIMITS.hashBytes) : Buffer.from(match[5] ?? '', 'base64url');
  const text = password.slice(0, AUTH_LIMITS.passwordMaxChars + 1);
  const actual = await gate(() => derive(text, salt, parameters));
  const equal = actual.length === expected.length && timingSafeEqual(actual, expected);
  return equal && match !== null;
}

/** True if the hash was made with less than today's cost: the next sign-in makes it anew. */
export function needsRehash(stored: string): boolean {
  const match = FORMAT.exec(stored);
  return (
    match === null ||
    Number(match[1]) < CURRENT.logN ||
    Number(match[2]) < CURRENT.r ||
    Number(match[3]) < CURRENT.p
  );
}
