/**
 * Packages from a hostile publisher: every trick here is validly signed where a signature can be had, because a stranger can sign
 * too. Each must be refused with its own reason, and nothing of it may reach a disk.
 */
import { build } from 'esbuild';
import path from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { PACKAGE_LIMITS } from '../../src/store/package/limits.ts';
import { readPackage } from '../../src/store/package/read.ts';
import { refused } from '../store/package/refused.ts';
import { forge, LEAST, rawGzip, rawTar, signatureEntry } from '../store/package/raw.ts';
import type { RawEntry } from '../store/package/raw.ts';

const view = (name: string | Uint8Array, body = 'x'): RawEntry => ({ name, body });

it('a package made by hand is read, so that what follows is refused for its trick alone', async () => {
  const pkg = await readPackage(forge([view('views/a.liquid', 'hello')]));
  expect(pkg.views).toEqual({ 'a.liquid': 'hello' });
});

describe('a path is refused', () => {
  it.each<[string, string, string]>([
    ['that climbs out', 'views/../../../etc/cron.d/x.liquid', 'PATH_TRAVERSAL'],
    ['that starts with ..', '../x.liquid', 'PATH_TRAVERSAL'],
    ['that is ..', '..', 'PATH_TRAVERSAL'],
    ['that is absolute', '/etc/passwd', 'ABSOLUTE_PATH'],
    ['of a Windows drive', 'C:/x.liquid', 'ABSOLUTE_PATH'],
    ['with a backslash', 'views\\..\\x.liquid', 'BACKSLASH'],
    ['with a line feed', 'views/a\nb.liquid', 'CONTROL_CHARACTER'],
    ['with a text direction override', 'views/a\u202Edil.liquid', 'CONTROL_CHARACTER'],
    ['with a zero-width space', 'views/a\u200B.liquid', 'CONTROL_CHARACTER'],
    ['in decomposed form', 'views/z\u0307.liquid', 'NOT_NFC'],
    ['with an empty part', 'views//a.liquid', 'BAD_PATH'],
    ['with a . part', 'views/./a.liquid', 'BAD_PATH'],
    ['with a trailing space', 'views/a /b.liquid', 'BAD_PATH'],
    ['with a colon', 'views/a:b.liquid', 'BAD_PATH'],
    ['with a percent sign', 'views/%2e%2e.liquid', 'BAD_PATH'],
    ['of a dotfile', 'views/.htaccess', 'DOTFILE'],
    ['of 13 parts', `views/${'a/'.repeat(11)}b.liquid`, 'PATH_TOO_LONG'],
    ['of a file without a place', 'install.sh', 'UNKNOWN_FILE'],
    ['of a script among the assets', 'views/assets/x.html', 'UNKNOWN_FILE'],
    ['of a test', 'test/x.test.ts', 'UNKNOWN_FILE'],
  ])('%s', async (_, name, reason) => {
    expect((await refused(readPackage(forge([view(name)])))).reason).toBe(reason);
  });

  it('with a part of 101 bytes, though it fits a tar header', async () => {
    const entry = { ...view('b.liquid'), prefix: `views/${'a'.repeat(101)}` };
    expect((await refused(readPackage(forge([entry])))).reason).toBe('PATH_TOO_LONG');
  });

  it('longer than 150 bytes, though it fits a tar header', async () => {
    const entry = { ...view(`${'b'.repeat(90)}.liquid`), prefix: `views/${'a'.repeat(90)}` };
    expect((await refused(readPackage(forge([entry])))).reason).toBe('PATH_TOO_LONG');
  });

  it('that is not UTF-8', async () => {
    expect(
      (await refused(readPackage(forge([view(Buffer.from('views/a\xff.liquid', 'latin1'))])))).reason,
    ).toBe('NOT_UTF8');
  });

  it('with a second name behind a NUL', async () => {
    expect(await refused(readPackage(forge([view('views/a.liquid\0../../x')])))).toMatchObject({
      reason: 'NOT_CANONICAL',
      path: 'views/a.liquid',
    });
  });

  it('in a message where it cannot hide', async () => {
    const { message } = await refused(readPackage(forge([view('views/a\u001b[2J\u202E.liquid')])));
    expect(message).not.toMatch(/\p{C}/u);
    expect(message).toContain('\\u{1b}');
  });
});

describe('two entries are refused', () => {
  it.each<[string, string, string, string]>([
    ['of the same path', 'views/a.liquid', 'views/a.liquid', 'DUPLICATE'],
    ['that differ by case', 'views/a.liquid', 'views/A.liquid', 'COLLISION'],
    ['that differ by case in a folder', 'views/x/a.liquid', 'views/X/b.liquid', 'COLLISION'],
    ['that differ by ligature', 'views/ﬁ.liquid', 'views/fi.liquid', 'COLLISION'],
    ['that differ by ß and ss', 'views/ß.liquid', 'views/SS.liquid', 'COLLISION'],
    ['that differ by a Kelvin sign', 'views/ſ.liquid', 'views/s.liquid', 'COLLISION'],
    ['of which one is the other’s folder', 'views/a.liquid', 'views/a.liquid/b.liquid', 'COLLISION'],
    [
      'of which one is the other’s folder, the other way round',
      'views/a.liquid/b.liquid',
      'views/a.liquid',
      'COLLISION',
    ],
    ['that rewrite module.json', 'module.json', 'views/a.liquid', 'DUPLICATE'],
  ])('%s', async (_, one, two, reason) => {
    expect((await refused(readPackage(forge([view(one), view(two)])))).reason).toBe(reason);
  });
});

describe('an entry is refused', () => {
  it.each([
    ['1', 'NOT_A_FILE', 'a hard link'],
    ['2', 'NOT_A_FILE', 'a symbolic link'],
    ['3', 'NOT_A_FILE', 'a character device'],
    ['4', 'NOT_A_FILE', 'a block device'],
    ['5', 'NOT_A_FILE', 'a folder'],
    ['6', 'NOT_A_FILE', 'a pipe'],
    ['7', 'NOT_CANONICAL', 'a contiguous file'],
    ['S', 'NOT_CANONICAL', 'a sparse file'],
    ['\0', 'NOT_CANONICAL', 'a file in the old spelling'],
  ])('of type %j: %s, %s', async (type, reason) => {
    const entry = { name: 'views/a.liquid', type, linkname: '/etc/passwd' };
    expect(await refused(readPackage(forge([entry])))).toMatchObject({ reason, path: 'views/a.liquid' });
  });

  it('that is a folder by its slash', async () => {
    expect((await refused(readPackage(forge([view('views/', '')])))).reason).toBe('NOT_A_FILE');
  });

  const pax = (type: string, record: string): RawEntry => ({
    name: 'pax',
    type,
    body: `${record.length + 4} ${record}\n`,
  });
  it.each<[string, RawEntry[], string]>([
    ['renamed by pax', [pax('x', 'path=views/other.liquid'), view('views/a.liquid')], 'EXTENDED_HEADER'],
    ['resized by pax', [pax('x', 'size=0000001'), view('views/a.liquid')], 'EXTENDED_HEADER'],
    [
      'renamed by a global pax header',
      [pax('g', 'path=views/other.liquid'), view('views/a.liquid')],
      'EXTENDED_HEADER',
    ],
    [
      'renamed by GNU long name',
      [{ name: '././@LongLink', type: 'L', body: 'views/long.liquid\0' }, view('views/a.liquid')],
      'NOT_CANONICAL',
    ],
    ['with an empty pax header', [{ name: 'pax', type: 'x' }, view('views/a.liquid')], 'NOT_CANONICAL'],
    [
      'with an owner',
      [{ ...view('views/a.liquid'), edit: (header) => header.write('root', 265) }],
      'NOT_CANONICAL',
    ],
    [
      'with a mode',
      [{ ...view('views/a.liquid'), edit: (header) => header.write('0004755', 100) }],
      'NOT_CANONICAL',
    ],
    [
      'with a time',
      [{ ...view('views/a.liquid'), edit: (header) => header.write('00000000001', 136) }],
      'NOT_CANONICAL',
    ],
    [
      'with a base-256 size',
      [
        {
          ...view('views/a.liquid'),
          edit: (header) => header.fill(Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 124, 136),
        },
      ],
      'NOT_CANONICAL',
    ],
    ['with a size of 8 GiB', [{ ...view('views/a.liquid'), size: 2 ** 33 - 1 }], 'FILE_TOO_LARGE'],
    [
      'with a size beyond numbers',
      [{ ...view('views/a.liquid'), edit: (header) => header.fill(0xff, 124, 136) }],
      'CORRUPT',
    ],
    [
      'with a size that swallows the next',
      [{ ...view('views/a.liquid'), size: 1025 }, view('views/b.liquid')],
      'SIZE_MISMATCH',
    ],
    [
      'without the ustar mark',
      [{ ...view('views/a.liquid'), edit: (header) => header.fill(0, 257, 265) }],
      'NOT_CANONICAL',
    ],
  ])('%s', async (_, entries, reason) => {
    expect((await refused(readPackage(forge(entries)))).reason).toBe(reason);
  });

  it('with bytes hidden in its padding', async () => {
    const tar = rawTar([signatureEntry(LEAST), ...LEAST]);
    const at = tar.indexOf('module.exports = {};') + 300;
    expect(tar[at]).toBe(0);
    tar[at] = 1;
    expect(await refused(readPackage(rawGzip(tar)))).toMatchObject({
      reason: 'NOT_CANONICAL',
      path: 'module.js',
    });
  });
});

describe('an archive is refused', () => {
  const good = (): RawEntry[] => [signatureEntry(LEAST), ...LEAST];
  const tar = rawTar(good());

  it.each<[string, () => Uint8Array, string]>([
    ['that is empty', () => new Uint8Array(), 'NOT_GZIP'],
    ['that is not gzip', () => Buffer.from('PK\x03\x04 a zip file, perhaps'), 'NOT_GZIP'],
    ['that is a bare tar', () => tar, 'NOT_GZIP'],
    ['of a gzip header alone', () => rawGzip(tar).subarray(0, 12), 'TRUNCATED'],
    ['cut in the middle', () => rawGzip(tar).subarray(0, 400), 'TRUNCATED'],
    ['cut in its trailer', () => rawGzip(tar).subarray(0, -1), 'TRUNCATED'],
    [
      'with a wrong checksum',
      () => {
        const bytes = rawGzip(tar);
        bytes.writeUInt32LE(1, bytes.length - 8);
        return bytes;
      },
      'CORRUPT',
    ],
    [
      'with a wrong length',
      () => {
        const bytes = rawGzip(tar);
        bytes.writeUInt32LE(1, bytes.length - 4);
        return bytes;
      },
      'CORRUPT',
    ],
    [
      'with a name in its gzip header',
      () => {
        const bytes = rawGzip(tar);
        bytes[3] = 8;
        return Buffer.concat([bytes.subarray(0, 10), Buffer.from('x\0'), bytes.subarray(10)]);
      },
      'NOT_CANONICAL',
    ],
    [
      'with a time in its gzip header',
      () => {
        const bytes = rawGzip(tar);
        bytes[4] = 1;
        return bytes;
      },
      'NOT_CANONICAL',
    ],
    [
      'of two gzip members',
      () => Buffer.concat([rawGzip(tar.subarray(0, 1024)), rawGzip(tar.subarray(1024))]),
      'SEVERAL_MEMBERS',
    ],
    [
      'followed by an empty gzip member',
      () => Buffer.concat([rawGzip(tar), rawGzip(new Uint8Array())]),
      'SEVERAL_MEMBERS',
    ],
    ['followed by bytes', () => Buffer.concat([rawGzip(tar), Buffer.from('x')]), 'TRAILING_DATA'],
    [
      'with bytes between its data and its trailer',
      () => {
        const bytes = rawGzip(tar);
        return Buffer.concat([bytes.subarray(0, -8), Buffer.from('hidden'), bytes.subarray(-8)]);
      },
      'CORRUPT',
    ],
    ['with zeros after its end', () => rawGzip(Buffer.concat([tar, Buffer.alloc(512)])), 'TRAILING_DATA'],
    [
      'with a file after its end',
      () => rawGzip(Buffer.concat([tar, rawTar([view('views/a.liquid')])])),
      'TRAILING_DATA',
    ],
    ['without its end', () => rawGzip(tar.subarray(0, -1024)), 'TRUNCATED'],
    ['with half an end', () => rawGzip(tar.subarray(0, -512)), 'TRUNCATED'],
    ['that ends in a file', () => rawGzip(tar.subarray(0, 600)), 'TRUNCATED'],
    ['that is an empty tar', () => rawGzip(new Uint8Array(1024)), 'SIGNATURE_MISSING'],
    [
      'whose signature comes second',
      () => {
        const [first, second, ...rest] = good();
        return rawGzip(rawTar([second, first, ...rest].filter((entry) => entry !== undefined)));
      },
      'SIGNATURE_MISSING',
    ],
    [
      'signed for another version',
      () => rawGzip(rawTar([signatureEntry(LEAST, { version: '9.0.0' }), ...LEAST])),
      'IDENTITY_MISMATCH',
    ],
    [
      'signed for another name',
      () => rawGzip(rawTar([signatureEntry(LEAST, { name: 'Payment/Stripe' }), ...LEAST])),
      'IDENTITY_MISMATCH',
    ],
    [
      'signed by a name with tricks',
      () => rawGzip(rawTar([signatureEntry(LEAST, { publisher: '../acme' }), ...LEAST])),
      'SIGNATURE_BROKEN',
    ],
    [
      'without a script',
      () => {
        const rest = LEAST.slice(1);
        return rawGzip(rawTar([signatureEntry(rest), ...rest]));
      },
      'MISSING_FILE',
    ],
    [
      'with a script that is not UTF-8',
      () => {
        const rest = [{ name: 'module.js', body: Buffer.from([0xff]) }, ...LEAST.slice(1)];
        return rawGzip(rawTar([signatureEntry(rest), ...rest]));
      },
      'NOT_UTF8',
    ],
    ['with translations that are not texts', () => forge([view('lang/en.json', '{"a":1}')]), 'BAD_JSON'],
    ['with JSON that goes deep', () => forge([view('lang/en.json', '['.repeat(400_000))]), 'BAD_JSON'],
    [
      'with too much JSON',
      () => forge([view('lang/en.json', `"${'a'.repeat(PACKAGE_LIMITS.jsonBytes)}"`)]),
      'FILE_TOO_LARGE',
    ],
    [
      'with too many files',
      () => forge(Array.from({ length: PACKAGE_LIMITS.files }, (_, at) => view(`views/v${at}.liquid`))),
      'TOO_MANY_FILES',
    ],
    [
      'with too large a file',
      () => forge([view('views/a.liquid', 'x'.repeat(PACKAGE_LIMITS.fileBytes + 1))]),
      'FILE_TOO_LARGE',
    ],
    [
      'that is too large',
      () => Buffer.concat([rawGzip(tar), Buffer.alloc(PACKAGE_LIMITS.compressedBytes)]),
      'TOO_LARGE',
    ],
    ['that unpacks to too much', () => rawGzip(Buffer.alloc(PACKAGE_LIMITS.unpackedBytes + 1)), 'TOO_LARGE'],
  ])('%s', async (_, bytes, reason) => {
    expect((await refused(readPackage(bytes()))).reason).toBe(reason);
  });

  it('that is a bomb, at no more than its limit in memory', async () => {
    const zeros = deflateRawSync(Buffer.alloc(400 * 1024 * 1024), { level: 9 });
    const bomb = Buffer.concat([rawGzip(new Uint8Array()).subarray(0, 10), zeros, Buffer.alloc(8)]);
    expect(bomb.length).toBeLessThan(1024 * 1024);
    const before = process.memoryUsage().arrayBuffers;
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage().arrayBuffers)), 1);
    const { reason } = await refused(readPackage(bomb));
    clearInterval(watch);
    expect(reason).toBe('TOO_LARGE');
    expect(Math.max(peak, process.memoryUsage().arrayBuffers) - before).toBeLessThan(
      3 * PACKAGE_LIMITS.unpackedBytes,
    );
  });
});

it('the reader loads nothing that could write a file or start a process', async () => {
  const entry = path.join(import.meta.dirname, '../../src/store/package/read.ts');
  const { metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
  });
  const builtins = Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.filter((item) => item.external).map((item) => item.path),
  );
  expect([...new Set(builtins)].sort()).toEqual(['node:crypto', 'node:zlib']);
});
