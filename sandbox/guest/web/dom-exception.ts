/** DOMException with the names and legacy codes that programs test for. */

const CODES: Readonly<Record<string, number>> = {
  InvalidCharacterError: 5,
  NotSupportedError: 9,
  InvalidStateError: 11,
  SyntaxError: 12,
  AbortError: 20,
  QuotaExceededError: 22,
  TimeoutError: 23,
  DataCloneError: 25,
};

export class DOMException extends Error {
  override readonly name: string;

  constructor(message = '', name = 'Error') {
    super(message);
    this.name = name;
  }

  get code(): number {
    return Object.hasOwn(CODES, this.name) ? (CODES[this.name] ?? 0) : 0;
  }
}
