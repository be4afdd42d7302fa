/** Reads what a caller of the Stripe-shaped API wants, with Stripe's own complaints when it does not add up. */
import type { StripeProblem } from './area-error.ts';
import { formObject, formText, formTexts } from './stripe-form.ts';
import type { Form } from './stripe-form.ts';
import { refundedOf } from './stripe-store.ts';
import type { Charge, NewSession, StripeStore } from './stripe-store.ts';

/** Stripe's ceiling of one amount, in minor units. */
const MAX_AMOUNT = 99_999_999;

export function isProblem(value: object): value is StripeProblem {
  return 'message' in value;
}

export function readNewSession(form: Form, account: string): NewSession | StripeProblem {
  const mode = formText(form, 'mode');
  if (mode !== 'payment') return { message: 'The fake cloud knows only mode=payment.', param: 'mode' };
  const successUrl = formText(form, 'success_url') ?? '';
  if (!isWebUrl(successUrl)) return invalidUrl('success_url');
  const cancelUrl = formText(form, 'cancel_url') ?? null;
  if (cancelUrl !== null && !isWebUrl(cancelUrl)) return invalidUrl('cancel_url');
  const lines = readLines(formObject(form, 'line_items'));
  if (isProblem(lines)) return lines;
  return {
    account,
    ...lines,
    successUrl,
    cancelUrl,
    reference: formText(form, 'client_reference_id') ?? null,
    email: formText(form, 'customer_email') ?? null,
    metadata: formTexts(formObject(form, 'metadata')),
    intentMetadata: formTexts(formObject(form, 'payment_intent_data', 'metadata')),
    description: formText(form, 'payment_intent_data', 'description') ?? null,
  };
}

type Lines = Pick<NewSession, 'amount' | 'currency' | 'title'>;

function readLines(items: Form): Lines | StripeProblem {
  const lines: Lines[] = [];
  for (const index of Object.keys(items)) {
    const line = readLine(formObject(items, index), `line_items[${index}]`);
    if (isProblem(line)) return line;
    lines.push(line);
  }
  const currency = lines[0]?.currency;
  if (currency === undefined) return missingParam('line_items');
  if (lines.some((line) => line.currency !== currency)) {
    return { message: 'All line items must have the same currency.', param: 'line_items' };
  }
  const amount = lines.reduce((sum, line) => sum + line.amount, 0);
  if (amount > MAX_AMOUNT)
    return { message: 'Amount is too large.', param: 'line_items', code: 'amount_too_large' };
  return { currency, amount, title: lines.map((line) => line.title).join(', ') };
}

function readLine(item: Form, at: string): Lines | StripeProblem {
  const price = formObject(item, 'price_data');
  const currency = formText(price, 'currency')?.toLowerCase() ?? '';
  if (!/^[a-z]{3}$/.test(currency))
    return { message: `Invalid currency: ${currency}`, param: `${at}[price_data][currency]` };
  const unit = minorUnits(formText(price, 'unit_amount'));
  if (unit === null) return invalidInteger(`${at}[price_data][unit_amount]`);
  const quantity = minorUnits(formText(item, 'quantity') ?? '1');
  if (quantity === null) return invalidInteger(`${at}[quantity]`);
  const title = formText(price, 'product_data', 'name') ?? '';
  if (title === '') return missingParam(`${at}[price_data][product_data][name]`);
  return { currency, amount: unit * quantity, title };
}

export interface RefundPlan {
  readonly charge: Charge;
  readonly amount: number;
  readonly reason: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export function planRefund(store: StripeStore, form: Form, account: string): RefundPlan | StripeProblem {
  const intentId = formText(form, 'payment_intent');
  const chargeId = formText(form, 'charge');
  const given = intentId ?? chargeId;
  if (given === undefined)
    return { message: 'One of the following params should be provided: payment_intent, charge.' };
  const charge = intentId === undefined ? store.charge(given, account) : store.intent(given, account)?.charge;
  if (charge === undefined || charge === null) {
    const param = intentId === undefined ? 'charge' : 'payment_intent';
    return {
      message: `No such ${param}: '${given}', or it has not succeeded.`,
      param,
      code: 'resource_missing',
    };
  }
  const left = charge.intent.amount - refundedOf(charge);
  if (left === 0)
    return { message: `Charge ${charge.id} has already been refunded.`, code: 'charge_already_refunded' };
  const amount = minorUnits(formText(form, 'amount') ?? String(left));
  if (amount === null) return invalidInteger('amount');
  if (amount > left) {
    return {
      message: `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
      param: 'amount',
    };
  }
  return {
    charge,
    amount,
    reason: formText(form, 'reason') ?? null,
    metadata: formTexts(formObject(form, 'metadata')),
  };
}

/** A positive integer, as it is written in a form. */
function minorUnits(written: string | undefined): number | null {
  const isInteger = written !== undefined && /^[1-9]\d{0,8}$/.test(written);
  return isInteger ? Number(written) : null;
}

function isWebUrl(address: string): boolean {
  const probe = address.replaceAll('{CHECKOUT_SESSION_ID}', 'x');
  return URL.canParse(probe) && ['http:', 'https:'].includes(new URL(probe).protocol);
}

function invalidUrl(param: string): StripeProblem {
  return { message: 'Not a valid URL', param, code: 'url_invalid' };
}

function invalidInteger(param: string): StripeProblem {
  return { message: 'Invalid integer', param, code: 'parameter_invalid_integer' };
}

function missingParam(param: string): StripeProblem {
  return { message: `Missing required param: ${param}.`, param, code: 'parameter_missing' };
}
