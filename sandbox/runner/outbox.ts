/** Reads what a guest put in its outbox (sandbox/guest/outbox.ts says the form). A text that does not fit is the end of that isolate. */

export interface GuestMessage {
  readonly kind: number;
  readonly id: number;
  readonly name: string;
  readonly body: string;
}

/** @throws Error if the text is not well formed */
export function parseOutbox(text: string): GuestMessage[] {
  if (text === '') return [];
  const colon = text.indexOf(':');
  const headerLength = Number(text.slice(0, colon));
  if (colon < 1 || !Number.isInteger(headerLength)) throw new Error('outbox without a header');
  const numbers = text
    .slice(colon + 1, colon + 1 + headerLength)
    .split(',')
    .map(Number);
  if (numbers.length % 4 !== 0 || !numbers.every((number) => Number.isInteger(number) && number >= 0))
    throw new Error('outbox with a bad header');
  const messages: GuestMessage[] = [];
  let at = colon + 1 + headerLength;
  for (let index = 0; index < numbers.length; index += 4) {
    const [kind = 0, id = 0, nameLength = 0, bodyLength = 0] = numbers.slice(index, index + 4);
    const bodyAt = at + nameLength;
    messages.push({ kind, id, name: text.slice(at, bodyAt), body: text.slice(bodyAt, bodyAt + bodyLength) });
    at = bodyAt + bodyLength;
  }
  if (at !== text.length) throw new Error('outbox of the wrong length');
  return messages;
}
