import { expect, test } from 'vitest';
import { qrCode } from '../../src/web/qr.ts';

/** Dark modules by row, from the path. */
function modules(text: string): boolean[][] {
  const { size, path } = qrCode(text);
  const rows = Array.from({ length: size }, () => Array.from({ length: size }, () => false));
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    const row = rows[Number(y)];
    if (row !== undefined) row[Number(x)] = true;
  }
  return rows;
}

test('a QR code has its quiet zone, its three finder patterns, and nothing else of the text but squares', () => {
  const text = 'otpauth://totp/Panel:"a@b.example"><script>?secret=ABC';
  const rows = modules(text);
  expect(qrCode(text).path).toMatch(/^(?:M\d+ \d+h1v1h-1z)+$/);
  const finder = ['1111111', '1000001', '1011101', '1011101', '1011101', '1000001', '1111111'];
  const at = (x: number, y: number) =>
    finder.map((_line, dy) =>
      rows[y + dy]
        ?.slice(x, x + 7)
        .map(Number)
        .join(''),
    );
  const far = rows.length - 4 - 7;
  for (const [x, y] of [
    [4, 4],
    [far, 4],
    [4, far],
  ] as const)
    expect(at(x, y)).toEqual(finder);
  for (const quiet of [...rows.slice(0, 4), ...rows.slice(-4)]) expect(quiet).not.toContain(true);
});
