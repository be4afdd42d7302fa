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

const REQUIRED = 'This field is required.';

/** A key that is not there at all: valibot speaks of keys, people of fields. */
function isMissing(issue: valibot.BaseIssue<unknown>): boolean {
  return issue.type === 'object' && issue.received === 'undefined' && issue.path !== undefined;
}

/** Errors by field; a nested path is joined with dots, an error of the whole under '_'. */
export function errorsByField(issues: readonly valibot.BaseIssue<unknown>[]): Record<string, string[]> {
  const errors: Record<string, string[]> = {};
  for (const issue of issues) {
    const field = valibot.getDotPath(issue) ?? '_';
    (errors[field] ??= []).push(isMissing(issue) ? REQUIRED : issue.message);
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

/** Nothing at all is missing, as for Laravel's required; anything else is of the wrong kind. */
const orRequired = (expected: string) => (issue: valibot.BaseIssue<unknown>) =>
  issue.input === undefined || issue.input === null ? REQUIRED : expected;
const trimmed = valibot.pipe(valibot.string(orRequired('A text is expected.')), valibot.trim());
const bounded = (min: number, max: number) =>
  valibot.pipe(
    trimmed,
    valibot.minLength(min, min === 1 ? REQUIRED : `At least ${min} characters.`),
    valibot.maxLength(max, `At most ${max} characters.`),
  );
const WHOLE = 'A whole number is expected.';
/** A whole number, or a form's text of one: '5' and '-5', but not '5.0', '1e3' or '0x10'. */
const wholeNumber = valibot.pipe(
  valibot.union([valibot.number(), trimmed], orRequired(WHOLE)),
  valibot.rawTransform<string | number, number>(({ dataset: { value }, addIssue, NEVER }) => {
    const number = typeof value === 'number' || /^[+-]?\d+$/.test(value) ? Number(value) : NaN;
    if (Number.isSafeInteger(number)) return number;
    addIssue({ message: value === '' ? REQUIRED : WHOLE });
    return NEVER;
  }),
);

const TRUE: readonly unknown[] = [true, 1, '1', 'true', 'on', 'yes'];
const YES_OR_NO = 'Yes or no is expected: true, false, 1, 0, on or off.';
const FALSE: readonly unknown[] = [false, 0, '', '0', 'false', 'off', 'no'];

/** The guide's common patterns (contract A31). */
export const rules = {
  text: (options: { min?: number; max?: number } = {}) => bounded(options.min ?? 1, options.max ?? 255),
  integer: (options: { min?: number; max?: number } = {}) =>
    valibot.pipe(
      wholeNumber,
      valibot.minValue(options.min ?? Number.MIN_SAFE_INTEGER, `At least ${options.min}.`),
      valibot.maxValue(options.max ?? Number.MAX_SAFE_INTEGER, `At most ${options.max}.`),
    ),
  /** Absent or empty is false, as a switch of a form that is off sends nothing. */
  boolean: () =>
    valibot.pipe(
      valibot.optional(valibot.union([valibot.boolean(), valibot.number(), trimmed], YES_OR_NO), false),
      valibot.transform((value) => (typeof value === 'string' ? value.toLowerCase() : value)),
      valibot.check((value) => TRUE.includes(value) || FALSE.includes(value), YES_OR_NO),
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
      valibot.string(orRequired('A text is expected.')),
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
