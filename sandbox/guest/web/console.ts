/** console writes to the installation’s log: the text as the line’s action, and whole, with its values, as its detail. */
import type { OpInput } from '../../contract/capabilities.ts';
import type { Env } from '../env.ts';

type Level = OpInput<'logs', 'write'>['level'];

const ACTION_CHARACTERS = 200;
const DETAIL_CHARACTERS = 16_000;

function show(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  try {
    return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
  } catch {
    return '[not shown]';
  }
}

export interface Console {
  log(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
  trace(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
  assert(condition: unknown, ...values: unknown[]): void;
}

export function createConsole(env: Pick<Env, 'notify'>): Console {
  const write = (level: Level, values: readonly unknown[]): void => {
    const text = values.map(show).join(' ');
    const isLong = text.length > ACTION_CHARACTERS || text.includes('\n');
    const action = (text.split('\n', 1)[0] ?? '').slice(0, ACTION_CHARACTERS);
    env.notify(
      'logs',
      'write',
      isLong ? { level, action, request: text.slice(0, DETAIL_CHARACTERS) } : { level, action },
    );
  };
  return Object.freeze({
    log: (...values: unknown[]) => write('info', values),
    info: (...values: unknown[]) => write('info', values),
    debug: (...values: unknown[]) => write('debug', values),
    trace: (...values: unknown[]) => write('debug', values),
    warn: (...values: unknown[]) => write('warning', values),
    error: (...values: unknown[]) => write('error', values),
    assert: (condition: unknown, ...values: unknown[]) => {
      if (!condition) write('error', ['Assertion failed:', ...values]);
    },
  });
}
