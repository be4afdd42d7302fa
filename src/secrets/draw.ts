/** Random bytes of one length, drawn from the system for many uses at once: asking costs more than the bytes. What was given out is overwritten. */
import { randomFillSync } from 'node:crypto';

const DRAWN_AT_ONCE = 256;

/** Each call of what this returns gives other bytes, which are the caller's own. */
export function createDraw(sizeBytes: number): () => Buffer {
  const drawn = Buffer.alloc(sizeBytes * DRAWN_AT_ONCE);
  let used = drawn.length;
  return () => {
    if (used === drawn.length) {
      randomFillSync(drawn);
      used = 0;
    }
    const end = used + sizeBytes;
    const given = Buffer.from(drawn.subarray(used, end));
    drawn.fill(0, used, end);
    used = end;
    return given;
  };
}
