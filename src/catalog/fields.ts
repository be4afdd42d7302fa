/**
 * Typed fields: the one declaration that draws a form, checks what it sends, and documents itself. Here is the checking, on the host's
 * side; the pages draw from the same records.
 */
import type { Field } from '../../sandbox/contract/kinds/module.ts';
import { SECRET_MIN_CHARACTERS } from '../secrets/redactor.ts';
import type { FormErrors } from './answers.ts';

export interface CheckedFields {
  readonly values: Record<string, unknown>;
  /** Values of secret fields that were filled in; they never join the others. */
  readonly secrets: Record<string, string>;
  readonly errors: FormErrors;
}

/** Checks a form's values. Unknown keys are dropped; an empty secret means "leave as it is". */
export function checkFields(
  fields: readonly Field[],
  input: Readonly<Record<string, unknown>>,
): CheckedFields {
  const values: Record<string, unknown> = {};
  const secrets: Record<string, string> = {};
  const errors: Record<string, readonly string[]> = {};
  for (const field of fields) {
    const raw = Object.hasOwn(input, field.key) ? input[field.key] : undefined;
    if (field.type === 'secret') {
      if (typeof raw !== 'string' || raw === '') continue;
      if (raw.length >= SECRET_MIN_CHARACTERS) secrets[field.key] = raw;
      else errors[field.key] = [`At least ${SECRET_MIN_CHARACTERS} characters.`];
      continue;
    }
    const checked = checkField(
      field,
      typeof raw === 'string' && field.type !== 'password' ? raw.trim() : raw,
    );
    if ('error' in checked) errors[field.key] = [checked.error];
    else if (checked.value !== undefined) values[field.key] = checked.value;
  }
  return { values, secrets, errors };
}

type Checked = { readonly value: unknown } | { readonly error: string };

function checkField(field: Field, raw: unknown): Checked {
  if (field.type === 'switch')
    return { value: raw === true || raw === 'on' || raw === '1' || raw === 'true' };
  if (raw === undefined || raw === null || raw === '')
    return field.required ? { error: 'This field is required.' } : { value: field.default };
  switch (field.type) {
    case 'number':
      return checkNumber(field, raw);
    case 'select':
      return checkOption(field, textOf(raw));
    case 'multi-select':
      return checkOptions(field, Array.isArray(raw) ? raw : [raw]);
    case 'text':
    case 'textarea':
    case 'password':
    case 'secret':
      return checkText(field, textOf(raw));
  }
}

/** Forms send texts; anything else that is no plain value cannot be right, and '' is told so by the checks. */
function textOf(raw: unknown): string {
  return typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean' ? String(raw) : '';
}

function checkNumber(field: Field, raw: unknown): Checked {
  const value = Number(raw);
  if (!Number.isFinite(value)) return { error: 'A number is expected.' };
  if (field.min !== undefined && value < field.min) return { error: `At least ${field.min}.` };
  if (field.max !== undefined && value > field.max) return { error: `At most ${field.max}.` };
  return { value };
}

function checkText(field: Field, value: string): Checked {
  if (field.min !== undefined && value.length < field.min)
    return { error: `At least ${field.min} characters.` };
  return field.max !== undefined && value.length > field.max
    ? { error: `At most ${field.max} characters.` }
    : { value };
}

function checkOption(field: Field, value: string): Checked {
  const known = (field.options ?? []).map((option) => option.value);
  return known.includes(value) ? { value } : { error: `One of ${known.join(', ')} is expected.` };
}

function checkOptions(field: Field, raw: readonly unknown[]): Checked {
  const values = raw.map(String);
  const known = new Set((field.options ?? []).map((option) => option.value));
  return values.every((value) => known.has(value))
    ? { value: values }
    : { error: `Choose among ${[...known].join(', ')}.` };
}
