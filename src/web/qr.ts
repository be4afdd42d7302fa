/**
 * A text as a QR code: one path of squares, drawn into the page itself. No script, no style and no request, so the panel's policy lets it be
 * as it is.
 */
import { encode } from 'uqr';

export interface QrCode {
  /** Modules along one side, the quiet zone included. */
  readonly size: number;
  /** For the `d` of a path in a view box of that size. */
  readonly path: string;
}

/** ISO/IEC 18004 asks for four light modules around it. */
const QUIET = 4;

export function qrCode(text: string): QrCode {
  const { data, size } = encode(text, { border: QUIET, ecc: 'M' });
  const path = data
    .map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join(''))
    .join('');
  return { size, path };
}
