/**
 * Typed fields: the one declaration that draws a form, checks what it sends, and documents itself. Here is the checking, on the host's
 * side; the pages draw from the same records.
 */
import type { Field } from '../../sandbox/contract/kinds/module.ts';
import { SECRET_MIN_CHARACTERS } from '../secrets/redactor.ts';
import type { DrawnField } from '../web/deps.ts';
import type { FormErrors } from './answers.ts';

const REQUIRED = 'This field is required.';
const CHOICES_TOLD = 20;

export interface CheckedFields {
  readonly values: Record<string, unknown>;
  /** Values of secret fields that were filled in; they never join the others. */
  readonly secrets: Record<string, string>;
  readonly errors: FormErrors;
}

/**
 * Checks a form's values. Unknown keys are dropped; an empty secret means "leave as it is".
 * @param secretsSet names of secrets that have a value, which a form never shows
 */
export function checkFields(
  fields: readonly DrawnField[],
  input: Readonly<Record<string, unknown>>,
  secretsSet: readonly string[] = [],
): CheckedFields {
  const values: Record<string, unknown> = {};
  const secrets: Record<string, string> = {};
  const errors: Record<string, readonly string[]> = {};
  for (const field of fields) {
    const raw = Object.hasOwn(input, field.key) ? input[field.key] : undefined;
    if (field.type === 'secret') {
      if (typeof raw !== 'string' || raw === '') {
        if (field.required && !secretsSet.includes(field.key)) errors[field.key] = [REQUIRED];
      } else if (raw.length >= SECRET_MIN_CHARACTERS) secrets[field.key] = raw;
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

function checkField(field: DrawnField, raw: unknown): Checked {
  if (field.type === 'switch')
    return { value: raw === true || raw === 'on' || raw === '1' || raw === 'true' };
  if (raw === undefined || raw === null || raw === '')
    return field.required ? { error: REQUIRED } : { value: field.default };
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

/** Of as many choices as anyone reads; a module may have loaded a thousand. */
function wrongChoice(field: DrawnField): Checked {
  if (field.unloaded === true) return { error: 'Its choices could not be loaded; try again later.' };
  const known = (field.options ?? []).map((option) => option.value);
  const told = known.length > CHOICES_TOLD ? [...known.slice(0, CHOICES_TOLD), '…'] : known;
  return { error: `One of ${told.join(', ')} is expected.` };
}

function checkOption(field: DrawnField, value: string): Checked {
  const known = (field.options ?? []).map((option) => option.value);
  return known.includes(value) ? { value } : wrongChoice(field);
}

function checkOptions(field: DrawnField, raw: readonly unknown[]): Checked {
  const values = raw.map(String);
  const known = new Set((field.options ?? []).map((option) => option.value));
  return values.every((value) => known.has(value)) ? { value: values } : wrongChoice(field);
}
