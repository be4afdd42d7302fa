/**
 * Validation with valibot, in the guide's shapes: a save method returns `this.validate(schema, data)` as it is. The ready-made rules
 * take form texts as Laravel's do: '5' is an integer, 'on' and '1' are true, an empty text is absent; texts are trimmed.
 */
import * as valibot from 'valibot';
import { ValidationError } from './errors.ts';

/** Functions that change valibot for everybody are withheld: one invocation must not be able to reconfigure the next. */
const WITHHELD = /^(?:set|delete|get)(?:Global|Specific|Schema)/;

/** valibot as modules see it. */
export const v: typeof valibot = Object.fromEntries(
  Object.entries(valibot).filter(([name]) => !WITHHELD.test(name)),
) as typeof valibot;

export type Validated<T> =
  | { status: 'success'; data: T; code: 200 }
  | { status: 'error'; message: Record<string, string[]>; errors: Record<string, string[]>; code: 422 };

/** A key that is not there at all: valibot speaks of keys, people of fields. */
function isMissing(issue: valibot.BaseIssue<unknown>): boolean {
  return issue.type === 'object' && issue.received === 'undefined' && issue.path !== undefined;
}

/** Errors by field; a nested path is joined with dots, an error of the whole under '_'. */
export function errorsByField(issues: readonly valibot.BaseIssue<unknown>[]): Record<string, string[]> {
  const errors: Record<string, string[]> = {};
  for (const issue of issues) {
    const field = valibot.getDotPath(issue) ?? '_';
    (errors[field] ??= []).push(isMissing(issue) ? 'This field is required.' : issue.message);
  }
  return errors;
}

/** Checks data; the answer is the guide's 200 or 422 shape. */
export function validate<S extends valibot.GenericSchema>(
  schema: S,
  data: unknown,
): Validated<valibot.InferOutput<S>> {
  const result = valibot.safeParse(schema, data);
  if (result.success) return { status: 'success', data: result.output, code: 200 };
  const errors = errorsByField(result.issues);
  return { status: 'error', message: errors, errors, code: 422 };
}

/** The checked data, for code that catches instead of asking. @throws ValidationError with the errors by field */
export function validated<S extends valibot.GenericSchema>(schema: S, data: unknown): valibot.InferOutput<S> {
  const result = valibot.safeParse(schema, data);
  if (result.success) return result.output;
  throw new ValidationError(errorsByField(result.issues));
}

const trimmed = valibot.pipe(valibot.string('This field is required.'), valibot.trim());
const bounded = (min: number, max: number) =>
  valibot.pipe(
    trimmed,
    valibot.minLength(min, min === 1 ? 'This field is required.' : `At least ${min} characters.`),
    valibot.maxLength(max, `At most ${max} characters.`),
  );
const toNumber = valibot.pipe(
  valibot.union([valibot.number(), trimmed], 'This field is required.'),
  valibot.check((value) => value !== '', 'This field is required.'),
  valibot.transform(Number),
);

const TRUE: readonly unknown[] = [true, 1, '1', 'true', 'on', 'yes'];
const FALSE: readonly unknown[] = [false, 0, '', '0', 'false', 'off', 'no'];

/** The guide's common patterns (contract A31). */
export const rules = {
  text: (options: { min?: number; max?: number } = {}) => bounded(options.min ?? 1, options.max ?? 255),
  integer: (options: { min?: number; max?: number } = {}) =>
    valibot.pipe(
      toNumber,
      valibot.integer('A whole number is expected.'),
      valibot.minValue(options.min ?? Number.MIN_SAFE_INTEGER, `At least ${options.min ?? 0}.`),
      valibot.maxValue(options.max ?? Number.MAX_SAFE_INTEGER, `At most ${options.max ?? 0}.`),
    ),
  /** Absent or empty is false, as a switch of a form that is off sends nothing. */
  boolean: () =>
    valibot.pipe(
      valibot.optional(valibot.union([valibot.boolean(), valibot.number(), trimmed]), false),
      valibot.transform((value) => (typeof value === 'string' ? value.toLowerCase() : value)),
      valibot.check(
        (value) => TRUE.includes(value) || FALSE.includes(value),
        'Yes or no is expected: true, false, 1, 0, on or off.',
      ),
      valibot.transform((value) => TRUE.includes(value)),
    ),
  oneOf: <const T extends readonly [string, ...string[]]>(values: T) =>
    valibot.pipe(trimmed, valibot.picklist(values, `One of ${values.join(', ')} is expected.`)),
  /** Empty texts become undefined. */
  nullable: <S extends valibot.GenericSchema>(schema: S) =>
    valibot.optional(
      valibot.pipe(
        valibot.unknown(),
        valibot.transform((value) => (value === '' || value === null ? undefined : value)),
        valibot.optional(schema),
      ),
    ),
  domain: () =>
    valibot.pipe(
      trimmed,
      valibot.regex(
        /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,}$/,
        'A domain such as example.com is expected.',
      ),
    ),
  hostname: () =>
    valibot.pipe(
      trimmed,
      valibot.regex(
        /^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/,
        'A host name of letters, digits, "-" and "." is expected.',
      ),
    ),
  username: () =>
    valibot.pipe(
      bounded(3, 20),
      valibot.regex(/^[A-Za-z0-9_-]+$/, 'Letters, digits, "-" and "_" are expected.'),
    ),
  strongPassword: () =>
    valibot.pipe(
      valibot.string('This field is required.'),
      valibot.minLength(8, 'At least 8 characters.'),
      valibot.regex(
        /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)/,
        'A lower-case letter, an upper-case letter and a digit are expected.',
      ),
    ),
  ip: () => valibot.pipe(trimmed, valibot.ip('An IP address is expected.')),
  email: () => valibot.pipe(trimmed, valibot.email('An e-mail address is expected.')),
  /** Gigabytes. */
  diskSpace: () => rules.integer({ min: 1, max: 1_000 }),
} as const;
