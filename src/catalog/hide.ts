/** Keeps a text that a person typed (a password) out of everything an invocation leaves in a log, whatever the module does with it. */

const HIDDEN = '•••';

/** A copy of JSON data in which the texts stand nowhere, keys included. */
export function hide<T>(value: T, texts: readonly string[]): T {
  if (texts.length === 0 || value === undefined) return value;
  const written = texts.reduce(
    (json, text) => json.replaceAll(JSON.stringify(text).slice(1, -1), HIDDEN),
    JSON.stringify(value),
  );
  return JSON.parse(written);
}
