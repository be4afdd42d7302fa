/**
 * Ten thousand damaged packages: a third each with the archive, the tar inside it and the files inside that damaged, the layers
 * around the damage repaired, so that every layer of the reader is met. Each is refused, or is the very same package.
 */
import { randomInt } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { forge, rawGzip } from '../store/package/raw.ts';
import type { ReadPackage } from '../../src/store/package/read.ts';

const MUTATIONS = 10_000;
const seed = Number(process.env.PACKAGE_SEED ?? randomInt(2 ** 32));

/** mulberry32: small, seeded, good enough to choose bytes. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One to four damages: a bit, a byte, a cut, a repeat, a swap, an insertion. */
function damage(bytes: Uint8Array, random: (below: number) => number): Buffer {
  let result = Buffer.from(bytes);
  for (let left = 1 + random(4); left > 0; left--) {
    const at = random(result.length);
    const length = 1 + random(random(2) === 0 ? 8 : 600);
    const kind = random(6);
    if (kind === 0) result[at] = (result[at] ?? 0) ^ (1 << random(8));
    else if (kind === 1) result[at] = random(256);
    else if (kind === 2) result = Buffer.concat([result.subarray(0, at), result.subarray(at + length)]);
    else if (kind === 3) result = Buffer.concat([result.subarray(0, at + length), result.subarray(at)]);
    else if (kind === 4) result.copy(result, random(result.length), at, at + length);
    else
      result = Buffer.concat([
        result.subarray(0, at),
        Buffer.alloc(length, random(256)),
        result.subarray(at),
      ]);
    if (result.length === 0) result = Buffer.alloc(1);
  }
  return result;
}

/** Repairs the checksum of every 512-byte block that looks like a header, so that damage inside headers is not caught by it. */
function repairHeaders(tar: Buffer): Buffer {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    const block = tar.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  }
  return tar;
}

/** Everything the package says, as one text; the archive's own hash aside, since deflate can spell the same bytes differently. */
function print(pkg: ReadPackage): string {
  const { sha256: _, ...rest } = pkg;
  return JSON.stringify({
    ...rest,
    assets: [...rest.assets].map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]),
    source: [...rest.source],
  });
}

it(`${MUTATIONS} damaged packages are refused or the same, and leave no file (PACKAGE_SEED=${seed})`, async () => {
  const random = generator(seed);
  const good = forge([
    { name: 'views/a.liquid', body: '<p>{{ a }}</p>' },
    { name: 'views/assets/css/a.css', body: 'p{}' },
    { name: 'lang/en.json', body: '{"a":"b"}' },
    { name: 'src/Tiny.ts', body: 'export default class Tiny {}' },
  ]);
  const tar = gunzipSync(good);
  const expected = print(await readPackage(good));
  const makers = [
    () => damage(good, random),
    () => rawGzip(damage(tar, random)),
    () => rawGzip(repairHeaders(damage(tar, random))),
  ];
  const reasons = new Map<string, number>();
  const count = (reason: string) => reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const before = process.cwd();
  const folder = await mkdtemp(path.join(tmpdir(), 'bulkhead-mutations-'));
  try {
    process.chdir(folder);
    for (let n = 0; n < MUTATIONS; n++) {
      const bytes = makers[n % makers.length]?.() ?? good;
      const outcome = await readPackage(bytes).then(print, (error: unknown) => error);
      if (outcome instanceof HostError) count(String(Reflect.get(Object(outcome.data), 'reason')));
      else if (outcome === expected) count('same');
      else throw new Error(`mutation ${n} of seed ${seed} was read as something else`, { cause: outcome });
    }
    expect(await readdir(folder)).toEqual([]);
  } finally {
    process.chdir(before);
    await rm(folder, { recursive: true, force: true });
  }
  const met = [...reasons.keys()];
  // Damage that only ever met the first layer would prove nothing about the others.
  expect(met).toEqual(
    expect.arrayContaining([
      'CORRUPT',
      'NOT_CANONICAL',
      'TRUNCATED',
      'HASH_MISMATCH',
      'BAD_SIGNATURE',
      'SIGNATURE_BROKEN',
    ]),
  );
  expect(met).not.toContain('undefined');
}, 60_000);
