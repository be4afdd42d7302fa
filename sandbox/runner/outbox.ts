/** Reads what a guest put in its outbox (sandbox/guest/outbox.ts says the form). A text that does not fit is the end of that isolate. */
import { LIMITS } from '../contract/limits.ts';

/** As in the guest (outbox.ts MESSAGE). */
export const MESSAGE = { call: 1, notify: 2, result: 3, timer: 4, clearTimer: 5, heap: 6 } as const;

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

const NAME_CHARACTERS = 100;
const BODY_CHARACTERS: Readonly<Record<number, number>> = {
  [MESSAGE.call]: LIMITS.callInputBytes,
  [MESSAGE.notify]: LIMITS.noticeBytes,
  [MESSAGE.result]: LIMITS.resultBytes,
};

/** The guest's own bounds, which no module can pass by honest means. @throws Error if this message does */
export function checkMessage(message: GuestMessage, entered: number): void {
  if (message.id !== entered) throw new Error('outbox with a message of another invocation');
  if (message.name.length > NAME_CHARACTERS) throw new Error('outbox with a name too long');
  if (message.body.length > (BODY_CHARACTERS[message.kind] ?? NAME_CHARACTERS))
    throw new Error('outbox with a body too long');
}
