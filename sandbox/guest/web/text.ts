/** Modules may be plain JavaScript: what the standards turn into a text is turned into one here, whatever its declared type says. */

export function asText(value: unknown): string {
  return String(value);
}
