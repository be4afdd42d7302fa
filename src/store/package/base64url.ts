/** Bytes from base64url, where one value has one spelling: Node's decoder skips what it does not know and ignores spare bits. */

/** The bytes of a text, or undefined when it is not the one spelling of exactly that many bytes. */
export function bytesOfBase64url(text: string, sizeBytes: number): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === sizeBytes && bytes.toString('base64url') === text ? bytes : undefined;
}
