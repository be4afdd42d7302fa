import { assert, property, string, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';

import { handlesIn, newHandle } from '../../src/secrets/handle.ts';
import { createRedactor } from '../../src/secrets/redactor.ts';

const handle = newHandle();
const value = string({ unit: 'binary', minLength: 6, maxLength: 40 }).filter((text) => text.isWellFormed());

describe('redactor', () => {
  it('finds any value in every form and at every place', () => {
    assert(
      property(value, string(), string(), (secret, before, after) => {
        const redactor = createRedactor([{ handle, value: secret }]);
        const base64 = (encoding: 'base64' | 'base64url'): string =>
          Buffer.concat([Buffer.from(before), Buffer.from(secret), Buffer.from(after)]).toString(encoding);
        const forms = [
          secret,
          encodeURIComponent(secret),
          encodeURIComponent(secret).toLowerCase() === encodeURIComponent(secret)
            ? ''
            : encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase()),
          new URLSearchParams({ v: secret }).toString().slice(2),
          JSON.stringify(secret).slice(1, -1),
          Buffer.from(secret).toString('hex'),
        ].filter((form) => form !== '');
        for (const form of forms) expect(redactor.text(`[${form}]`)).toBe(`[${handle}]`);
        for (const text of [base64('base64'), base64('base64url')]) {
          expect(redactor.found(text)).toEqual([handle]);
          expect(redactor.text(text)).toContain(handle);
        }
        expect(redactor.bytes(Buffer.from(secret)).toString()).toBe(handle);
      }),
      { numRuns: 300 },
    );
  });

  it('leaves everything else as it was, byte for byte', () => {
    const redactor = createRedactor([{ handle, value: 'a-secret-that-does-not-occur' }]);
    assert(
      property(uint8Array({ maxLength: 200 }), string({ unit: 'binary' }), (bytes, text) => {
        const buffer = Buffer.from(bytes);
        expect(redactor.bytes(buffer)).toBe(buffer);
        expect(redactor.text(text)).toBe(text);
        expect(redactor.found(text)).toEqual([]);
      }),
    );
  });

  it('leaves no rest of a longer secret that holds a shorter one', () => {
    const [short, long] = [newHandle(), newHandle()];
    const redactor = createRedactor([
      { handle: short, value: 'abcdef' },
      { handle: long, value: 'abcdef-0123456789' },
    ]);
    expect(redactor.text('x abcdef-0123456789 abcdef y')).toBe(`x ${long} ${short} y`);
  });

  it('finds a long value whose forms begin alike and part later', () => {
    const long = `${'x'.repeat(40)}/"ż ${'y'.repeat(40)}`;
    const redactor = createRedactor([{ handle, value: long }]);
    const forms = [
      long,
      encodeURIComponent(long),
      JSON.stringify(long).slice(1, -1),
      new URLSearchParams({ v: long }).toString().slice(2),
    ];
    for (const form of forms) expect(redactor.text(`<${form}>`)).toBe(`<${handle}>`);
  });

  it('takes the largest value there may be, made to be hard to find, and never names it', () => {
    const size = 16 * 1024;
    const values = [
      'a'.repeat(size),
      `${'a'.repeat(size - 1)}b`,
      `b${'a'.repeat(size - 1)}`,
      'ż'.repeat(size),
      '%'.repeat(size),
      '\ud800'.repeat(size),
    ];
    const text = Buffer.alloc(2 * 1024 * 1024, 'a');
    for (const hard of values) {
      const redactor = createRedactor([{ handle, value: hard }]);
      expect(redactor.text(`[${hard}]`)).toBe(`[${handle}]`);
      redactor.bytes(text);
    }
  });

  it('takes pattern characters of a value for what they are', () => {
    const redactor = createRedactor([{ handle, value: '.*+?^${}()|[]\\/-$&' }]);
    expect(redactor.text('any other text')).toBe('any other text');
    expect(redactor.text('=.*+?^${}()|[]\\/-$&=')).toBe(`=${handle}=`);
  });
});

describe('handle', () => {
  it('is found wherever it stands, and each is another', () => {
    const [one, two] = [newHandle(), newHandle()];
    expect(one).not.toBe(two);
    expect(handlesIn(`Bearer ${one}${two}x${one}`)).toEqual([one, two]);
    expect(handlesIn(encodeURIComponent(JSON.stringify({ one })))).toEqual([one]);
    expect(handlesIn('bhs_0123')).toEqual([]);
  });
});
