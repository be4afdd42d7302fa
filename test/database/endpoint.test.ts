import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  describeEndpoint,
  forPg,
  forPostgresJs,
  formatEndpoint,
  parseEndpoint,
} from '../../src/database/endpoint.ts';

const BASE = { port: 5432, user: 'u', password: 'p', database: 'd' };

describe('parseEndpoint', () => {
  test.each([
    ['postgres://u:p@db.example/d', { ...BASE, host: 'db.example' }],
    ['postgresql://u:p@[::1]:6000/d', { ...BASE, host: '::1', port: 6000 }],
    ['postgres://u:p@/d?host=/run/pg', { ...BASE, host: '/run/pg' }],
    ['postgres://u:p@%2Frun%2Fpg/d', { ...BASE, host: '/run/pg' }],
    ['postgres://u:p@localhost/d?host=%2Frun%2Fpg&port=6000', { ...BASE, host: '/run/pg', port: 6000 }],
    ['postgres://u:p%40%2F@h/d', { ...BASE, host: 'h', password: 'p@/' }],
    ['postgres://u:p@h/d?sslmode=disable', { ...BASE, host: 'h' }],
    ['postgres://u:p@h/d?sslmode=require', { ...BASE, host: 'h', tls: { verify: false } }],
    ['postgres://u:p@h/d?sslmode=verify-full', { ...BASE, host: 'h', tls: { verify: true } }],
    [
      'postgres://u:p@h/d?sslmode=require&sslrootcert=/ca',
      { ...BASE, host: 'h', tls: { verify: true, caFile: '/ca' } },
    ],
  ])('reads %s', (url, endpoint) => {
    expect(parseEndpoint(url)).toEqual(endpoint);
  });

  test.each([
    ['mysql://u:p@h/d', 'is not a PostgreSQL address'],
    ['h:5432', 'is not a PostgreSQL address'],
    ['postgres://h/d', 'names no user'],
    ['postgres://u:p@h', 'names no database'],
    ['postgres://u:p@h/d?port=0', 'has no valid port'],
    ['postgres://u:100%@h/d', 'has a %'],
    ['postgres://u:p@h/d?sslmode=prefer', 'sslmode=prefer'],
    ['postgres://u:p@h/d?pgbouncer=true', 'parameter "pgbouncer"'],
  ])('refuses %s, and says why', (url, reason) => {
    expect(() => parseEndpoint(url)).toThrow(reason);
  });

  test('never repeats the password in a refusal', () => {
    const refusal = (url: string): string => {
      try {
        parseEndpoint(url);
        return 'accepted';
      } catch (error) {
        return String(error);
      }
    };
    expect(refusal('postgres://u:hunter2@h/d?sslmode=allow')).not.toMatch(/hunter2|accepted/);
    expect(refusal('postgres://u:hunter2@h:port/d')).not.toMatch(/hunter2|accepted/);
  });

  test('reads back whatever formatEndpoint wrote', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((text) => text.isWellFormed() && !text.includes('/'));
    const endpoint = fc.record({
      host: fc.constantFrom('db.example', '127.0.0.1', '::1', '/run/a b,c:d/é'),
      port: fc.integer({ min: 1, max: 65_535 }),
      user: name,
      password: fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
      database: name,
    });
    fc.assert(
      fc.property(endpoint, (given) => {
        expect(parseEndpoint(formatEndpoint(given))).toEqual(given);
      }),
    );
  });
});

test('postgres.js is given a socket by its path, which may hold commas and colons', () => {
  const options = forPostgresJs({ ...BASE, host: '/run/a,b:c' });
  expect(options).toMatchObject({ path: '/run/a,b:c/.s.PGSQL.5432', host: 'localhost', ssl: false });
});

test('TLS is asked for as it was said', () => {
  const endpoint = { ...BASE, host: 'h' };
  expect(forPg(endpoint).ssl).toBe(false);
  expect(forPg({ ...endpoint, tls: { verify: true } }).ssl).toEqual({ rejectUnauthorized: true });
  expect(forPostgresJs({ ...endpoint, tls: { verify: false } }).ssl).toEqual({ rejectUnauthorized: false });
});

test('a description holds no password', () => {
  expect(describeEndpoint({ ...BASE, password: 'hunter2', host: 'h' })).toBe('u@h:5432/d');
});
