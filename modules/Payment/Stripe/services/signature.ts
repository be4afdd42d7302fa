/**
 * Whether a delivery is Stripe's: the header holds a time and one or more HMACs over "time.body", the body being its very bytes. The secret
 * is the host's to know; it computes and says yes or no. An old time is refused, so that a delivery which was overheard is of no use later.
 */
import { v } from 'bulkhead';
import type { IncomingRequest, Payment } from 'bulkhead';
import { Event, type StripeEvent } from './answers.ts';

export const TOLERANCE_SECONDS = 300;
/** While a secret is being replaced Stripe signs with both. */
const SIGNATURES = 5;

export type Verified = { readonly event: StripeEvent } | { readonly refused: string };

interface Header {
  readonly time: string;
  readonly signatures: readonly string[];
}

function readHeader(text: string): Header | undefined {
  const parts = text.split(',').map((part) => part.trim().split('='));
  const time = parts.find(([name]) => name === 't')?.[1] ?? '';
  const signatures = parts.flatMap(([name, value]) => (name === 'v1' && value !== undefined ? [value] : []));
  return /^\d{1,12}$/.test(time) && signatures.length > 0
    ? { time, signatures: signatures.slice(0, SIGNATURES) }
    : undefined;
}

function signedBytes(time: string, body: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(`${time}.`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

export async function verifyEvent(
  request: IncomingRequest,
  secrets: Payment['secrets'],
  { nowMs, sandbox }: { readonly nowMs: number; readonly sandbox: boolean },
): Promise<Verified> {
  const header = readHeader(request.headers.get('stripe-signature') ?? '');
  if (header === undefined) return { refused: 'no signature' };
  const ageSeconds = Math.abs(nowMs / 1_000 - Number(header.time));
  if (ageSeconds > TOLERANCE_SECONDS) return { refused: 'the timestamp is too old' };
  const bytes = signedBytes(header.time, request.rawBody);
  let valid = false;
  for (const signature of header.signatures)
    valid = (await secrets.verifyHmac('webhook_secret', bytes, signature)) || valid;
  if (!valid) return { refused: 'the signature does not fit' };
  const event = v.safeParse(v.looseObject(Event.entries), request.all());
  if (!event.success) return { refused: 'this is no event' };
  if (!event.output.livemode && !sandbox) return { refused: 'an event of the test mode; test mode is off' };
  return { event: event.output };
}
