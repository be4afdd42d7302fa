/**
 * Archives made by hand, byte by byte and without the code under test, so that a test can write what no honest packer would.
 * Signed ones carry a valid signature over whatever they hold: a hostile publisher signs too.
 */
import { createHash } from 'node:crypto';
import { crc32, deflateRawSync } from 'node:zlib';
import { signManifest } from '../../../src/store/package/signature.ts';
import { MANIFEST, PUBLISHER } from './fixture.ts';

export interface RawEntry {
  readonly name: string | Uint8Array;
  readonly body?: string | Uint8Array;
  /** One character; '0' is a file. */
  readonly type?: string;
  readonly prefix?: string;
  readonly linkname?: string;
  /** Claimed size, when it is not the body's. */
  readonly size?: number;
  /** Changes the finished header; its checksum is written afterwards. */
  readonly edit?: (header: Buffer) => void;
}

export function rawHeader(entry: RawEntry, sizeBytes: number): Buffer {
  const header = Buffer.alloc(512);
  Buffer.from(entry.name).copy(header, 0, 0, 100);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${(entry.size ?? sizeBytes).toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write(entry.type ?? '0', 156);
  header.write(entry.linkname ?? '', 157);
  header.write('ustar\x0000', 257);
  header.write(entry.prefix ?? '', 345);
  entry.edit?.(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

export function rawTar(entries: readonly RawEntry[], end: Uint8Array = new Uint8Array(1024)): Buffer {
  const blocks = entries.flatMap((entry) => {
    const body = Buffer.from(entry.body ?? '');
    return [rawHeader(entry, body.length), body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, end]);
}

export function rawGzip(bytes: Uint8Array): Buffer {
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(bytes), 0);
  trailer.writeUInt32LE(bytes.length % 2 ** 32, 4);
  return Buffer.concat([Buffer.from([31, 139, 8, 0, 0, 0, 0, 0, 0, 255]), deflateRawSync(bytes), trailer]);
}

/** The least that a package must hold. */
export const LEAST: readonly RawEntry[] = [
  { name: 'module.js', body: 'module.exports = {};' },
  { name: 'module.js.map', body: '{}' },
  { name: 'module.json', body: JSON.stringify({ ...MANIFEST, logo: '' }) },
];

interface SignedEntry {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export function listed(entry: RawEntry): SignedEntry {
  const body = Buffer.from(entry.body ?? '');
  return {
    path: Buffer.from(entry.name).toString('utf8'),
    sizeBytes: body.length,
    sha256: createHash('sha256').update(body).digest('hex'),
  };
}

/** SIGNATURE.json over a list of entries; `change` lets a test lie in what it signs. */
export function signatureEntry(
  entries: readonly RawEntry[],
  change: Partial<{ publisher: string; name: string; version: string; files: SignedEntry[] }> = {},
): RawEntry {
  const manifest = {
    format: 1 as const,
    publisher: PUBLISHER.publisher,
    name: 'Plugin/Tiny',
    version: MANIFEST.version,
    files: entries.map(listed),
    ...change,
  };
  const { path, bytes } = signManifest(manifest, PUBLISHER.keys.privateKeyPem);
  return { name: path, body: bytes };
}

/** A whole package, validly signed, of the least entries and these. */
export function forge(extra: readonly RawEntry[]): Buffer {
  const entries = [...LEAST, ...extra];
  return rawGzip(rawTar([signatureEntry(entries), ...entries]));
}
