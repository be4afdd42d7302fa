/** Reading forms: parsed once at the edge by a schema; what is wrong comes back by field, beside what was typed. */
import type { Context } from 'hono';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Field } from '../../sandbox/contract/kinds/module.ts';
import type { FormErrors } from './deps.ts';
import { WEB_LIMITS } from './limits.ts';

export type RawForm = Readonly<Record<string, string | readonly string[]>>;

const unreadable = (cause?: unknown): HostError =>
  new HostError('BAD_INPUT', 'The form cannot be read. Open the page anew and send it again.', { cause });

/**
 * All text fields of a form; a field given several times is a list. Files are left out. Sorted in one pass: asking FormData for each name
 * takes the square of their number, minutes for a megabyte of them.
 * @throws BAD_INPUT for what is no form, has more fields than a page of ours, or holds a NUL, which PostgreSQL cannot store
 */
export async function readForm(c: Context): Promise<RawForm> {
  const form = await c.req.formData().catch((error: unknown) => Promise.reject(unreadable(error)));
  const fields = new Map<string, string[]>();
  let count = 0;
  for (const [name, value] of form) {
    if (++count > WEB_LIMITS.formFields) throw unreadable();
    if (typeof value !== 'string') continue;
    if (name.includes('\0') || value.includes('\0')) throw unreadable();
    const texts = fields.get(name);
    if (texts === undefined) fields.set(name, [value]);
    else texts.push(value);
  }
  const result: Record<string, string | string[]> = Object.create(null);
  for (const [name, texts] of fields) result[name] = texts.length === 1 ? (texts[0] ?? '') : texts;
  return result;
}

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: FormErrors; readonly values: RawForm };

/** Checks a form by a schema. */
export async function checkForm<S extends v.GenericSchema>(
  c: Context,
  schema: S,
): Promise<Checked<v.InferOutput<S>>> {
  const values = await readForm(c);
  const parsed = v.safeParse(schema, { ...values });
  if (parsed.success) return { ok: true, value: parsed.output };
  return { ok: false, errors: fieldErrors(parsed.issues), values };
}

export function fieldErrors(issues: readonly v.BaseIssue<unknown>[]): FormErrors {
  const errors: Record<string, string[]> = {};
  for (const issue of issues) {
    const key = v.getDotPath(issue) ?? '';
    (errors[key] ??= []).push(issue.message);
  }
  return errors;
}

/** Errors by field out of a HostError that carries them, or undefined: then it is no mistake of the form. */
export function errorsOf(error: unknown): FormErrors | undefined {
  if (!(error instanceof HostError)) return undefined;
  if (error.code !== 'BAD_INPUT' && error.code !== 'CONFLICT') return undefined;
  const byField = v.safeParse(v.record(v.string(), v.array(v.string())), error.data);
  return byField.success ? byField.output : { '': [error.message] };
}

/** The typed values of a drawn form (`f_{key}`), as its fields say; what cannot be read stays text for the module to refuse. */
export function typedValues(fields: readonly Field[], form: RawForm): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const field of fields) {
    const given = form[`f_${field.key}`];
    const text = typeof given === 'string' ? given : given?.at(-1);
    switch (field.type) {
      case 'switch':
        values[field.key] = text === 'on';
        break;
      case 'multi-select':
        values[field.key] = given === undefined ? [] : typeof given === 'string' ? [given] : given;
        break;
      case 'number':
        if (text !== undefined && text.trim() !== '')
          values[field.key] = Number.isFinite(Number(text)) ? Number(text) : text;
        break;
      case 'secret':
      case 'password':
      case 'text':
      case 'textarea':
      case 'select':
        if (text !== undefined) values[field.key] = text;
    }
  }
  return values;
}

/** What the frame of a module's own page hands over: its inputs by name. */
const FrameData = v.record(v.string(), v.union([v.string(), v.array(v.string())]));

/** What the module's own page in the frame was filled in with. @throws BAD_INPUT */
export function frameData(form: RawForm): Record<string, unknown> {
  const text = form['frame_data'];
  if (typeof text !== 'string' || text === '') return {};
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), FrameData), text);
  if (!parsed.success)
    throw new HostError('BAD_INPUT', 'The module’s page sent what cannot be read. Open the page anew.');
  return parsed.output;
}

/** An amount as people type it ('12', '12.50', '12,50') in minor units; undefined if it is none. */
export function minorUnits(text: string, currency: string): number | undefined {
  const digits =
    new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
  const match = /^(\d{1,10})(?:[.,](\d+))?$/.exec(text.trim());
  if (match === null) return undefined;
  const fraction = match[2] ?? '';
  if (fraction.length > digits) return undefined;
  return Number(`${match[1]}${fraction.padEnd(digits, '0')}`);
}

/** Minor units as the text of an input: 1250 → '12.50'. */
export function majorText(minor: number, currency: string): string {
  const digits =
    new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
  return (minor / 10 ** digits).toFixed(digits);
}

const Id = v.pipe(v.string(), v.uuid());

/** A UUID from a path or query. @throws NOT_FOUND for anything else, before it reaches SQL */
export function idFrom(text: string | undefined): string {
  const parsed = v.safeParse(Id, text);
  if (!parsed.success) throw new HostError('NOT_FOUND', 'There is no such page.');
  return parsed.output;
}
