/** The lines of an invoice by hand, as its form has them: three fields a line, and what is left empty is no line. */
import { BILLING_LIMITS } from '../../billing/limits.ts';
import type { FormErrors } from '../deps.ts';
import { minorUnits, type RawForm } from '../forms.ts';

export interface InvoiceLine {
  readonly description: string;
  readonly quantity: number;
  /** Of the whole line. */
  readonly amountMinor: number;
}

export interface ShownLine {
  readonly description: string;
  readonly quantity: string;
  readonly amount: string;
}

const DESCRIPTION_CHARACTERS = 200;
const QUANTITY = /^[1-9]\d{0,4}$/;
/** Empty ones to begin with, and below what was typed. */
const ROWS = 3;

function listed(form: RawForm, name: string): readonly string[] {
  const given = form[name];
  return given === undefined ? [] : typeof given === 'string' ? [given] : given;
}

function typed(form: RawForm): ShownLine[] {
  const descriptions = listed(form, 'description');
  const quantities = listed(form, 'quantity');
  const amounts = listed(form, 'amount');
  const count = Math.min(Math.max(descriptions.length, amounts.length), BILLING_LIMITS.invoiceItems);
  return Array.from({ length: count }, (_, index) => ({
    description: (descriptions[index] ?? '').trim(),
    quantity: (quantities[index] ?? '').trim(),
    amount: (amounts[index] ?? '').trim(),
  })).filter(({ description, amount }) => description !== '' || amount !== '');
}

/** What the form shows: what was typed, and empty lines for more. */
export function shownLines(form: RawForm): ShownLine[] {
  const lines = typed(form);
  const empty = Math.min(Math.max(1, ROWS - lines.length), BILLING_LIMITS.invoiceItems - lines.length);
  return [...lines, ...Array.from({ length: empty }, () => ({ description: '', quantity: '1', amount: '' }))];
}

/** @param expected says what an amount looks like */
export function readLines(
  form: RawForm,
  currency: string,
  expected: string,
): { readonly lines: InvoiceLine[]; readonly errors: FormErrors } {
  const errors: Record<string, string[]> = {};
  const lines = typed(form).map((line): InvoiceLine => {
    const { description, amount } = line;
    const unitMinor = minorUnits(amount, currency) ?? 0;
    const quantity = line.quantity === '' ? '1' : line.quantity;
    if (description === '' || description.length > DESCRIPTION_CHARACTERS)
      errors['description'] = ['Say what it is for, in at most 200 characters.'];
    if (unitMinor === 0) errors['amount'] = [expected];
    if (!QUANTITY.test(quantity)) errors['quantity'] = ['A whole number from 1 to 99999 is expected.'];
    return { description, quantity: Number(quantity), amountMinor: unitMinor * Number(quantity) };
  });
  if (lines.length === 0) errors['description'] = ['Say what it is for.'];
  const sum = lines.reduce((total, { amountMinor }) => total + amountMinor, 0);
  if (sum > BILLING_LIMITS.amountMaxMinor) errors['amount'] = [expected];
  return { lines, errors };
}
