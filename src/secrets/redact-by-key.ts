/**
 * Takes out of data what its keys call secret: for lines that are kept and for data that a page shows, where nobody knows the values
 * (redactor.ts takes out known ones).
 */
const SECRET_KEY =
  /pass(?:word|wd|phrase)?$|secret|token|api_?key|private_?key|authorization|credential|cvv|card_?number/i;
const REDACTED = '•••';
const DEPTH = 6;
const ITEMS = 100;

/** A copy without what looks like a secret by its key; deep and long values are cut. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEPTH) return '…';
  if (Array.isArray(value)) return value.slice(0, ITEMS).map((item) => redact(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, ITEMS)
      .map(([key, item]) => [
        key,
        SECRET_KEY.test(key) && item !== null && item !== '' ? REDACTED : redact(item, depth + 1),
      ]),
  );
}
