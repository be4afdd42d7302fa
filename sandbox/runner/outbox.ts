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

const COMMA = 0x2c;
const DIGIT_0 = 0x30;
const DIGITS = 15;

/** Whole numbers with commas between them, read digit by digit: each entry has some. @throws Error for anything else */
function readNumbers(text: string, from: number, to: number): number[] {
  const numbers: number[] = [];
  let value = 0;
  let digits = 0;
  for (let at = from; at <= to; at++) {
    const code = at === to ? COMMA : text.charCodeAt(at);
    const digit = code - DIGIT_0;
    if (digit >= 0 && digit <= 9 && digits < DIGITS) {
      value = value * 10 + digit;
      digits++;
    } else if (code === COMMA && digits > 0) {
      numbers.push(value);
      value = 0;
      digits = 0;
    } else throw new Error('outbox with a bad header');
  }
  return numbers;
}

/** @throws Error if the text is not well formed */
export function parseOutbox(text: string): GuestMessage[] {
  if (text === '') return [];
  const colon = text.indexOf(':');
  if (colon < 1) throw new Error('outbox without a header');
  const [headerLength = 0] = readNumbers(text, 0, colon);
  let at = colon + 1 + headerLength;
  if (at > text.length) throw new Error('outbox of the wrong length');
  const numbers = readNumbers(text, colon + 1, at);
  if (numbers.length % 4 !== 0) throw new Error('outbox with a bad header');
  const messages: GuestMessage[] = [];
  for (let index = 0; index < numbers.length; index += 4) {
    const kind = numbers[index] ?? 0;
    const id = numbers[index + 1] ?? 0;
    const bodyAt = at + (numbers[index + 2] ?? 0);
    const bodyLength = numbers[index + 3] ?? 0;
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
