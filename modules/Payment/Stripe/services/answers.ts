/** What of Stripe's answers and events is read, and nothing else: anything of another shape is an error and no surprise later. */
import { v } from 'bulkhead';

const Id = v.pipe(v.string(), v.minLength(1), v.maxLength(200));
const Amount = v.pipe(v.number(), v.integer(), v.minValue(0));

export const Intent = v.object({
  id: Id,
  status: v.string(),
  amount: Amount,
  amount_received: Amount,
  currency: v.pipe(v.string(), v.length(3)),
  description: v.optional(v.nullable(v.string()), null),
  latest_charge: v.optional(v.nullable(Id), null),
  metadata: v.optional(v.record(v.string(), v.string()), {}),
  last_payment_error: v.optional(v.nullable(v.object({ message: v.optional(v.string()) })), null),
});
export type Intent = ReturnType<typeof v.parse<typeof Intent>>;

export const Session = v.object({
  id: Id,
  status: v.string(),
  payment_status: v.string(),
  client_reference_id: v.nullable(v.string()),
  payment_intent: v.nullable(Id),
  url: v.nullable(v.pipe(v.string(), v.regex(/^https?:\/\//))),
});
export type Session = ReturnType<typeof v.parse<typeof Session>>;

export const Charge = v.object({ balance_transaction: v.nullable(Id) });
export const BalanceTransaction = v.object({ fee: Amount, currency: v.string() });
export const Refund = v.object({ id: Id, status: v.nullable(v.string()) });
export const Problem = v.object({ error: v.object({ message: v.string() }) });

export const Event = v.object({
  id: Id,
  type: v.string(),
  livemode: v.boolean(),
  data: v.object({ object: v.unknown() }),
});
export type StripeEvent = Record<string, unknown> & ReturnType<typeof v.parse<typeof Event>>;

/** The payment an event is about; undefined for any other object. */
export function intentIn(event: StripeEvent): Intent | undefined {
  const parsed = v.safeParse(Intent, event.data.object);
  return parsed.success ? parsed.output : undefined;
}
