/**
 * Names of services from a product's pattern: 'vps-{YEAR}{MONTH}-{RAND:4}'. A macro that is none stays as it is written, so that a
 * mistake is seen in the first name it makes.
 */
import { randomInt } from 'node:crypto';
import { BILLING_LIMITS } from './limits.ts';
import { wallMs } from './periods.ts';

export interface NameContext {
  readonly at: Date;
  readonly timeZone: string;
  /** ISO 3166 of the client; '' if unknown. */
  readonly country: string;
}

/** One of each, for the form that asks for a pattern. */
export const MACRO_EXAMPLES =
  '{YEAR} {MONTH} {DAY} {HOUR} {MINUTE} {SECOND} {TIMESTAMP} {RAND:4} {RSTR:8} {COUNTRY} {6:abc123}';

const MOST_RANDOM = 32;
const DIGITS = '0123456789';
const LETTERS_AND_DIGITS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const MACRO = /\{(?:([A-Z]+)(?::(\d{1,2}))?|(\d{1,2}):([^{}]{1,100}))\}/g;

function randomOf(charset: string, count: number): string {
  const characters = Array.from(charset);
  return Array.from({ length: count }, () => characters[randomInt(characters.length)]).join('');
}

function values({ at, timeZone, country }: NameContext): Readonly<Record<string, string>> {
  const wall = new Date(wallMs(at.getTime(), timeZone)).toISOString();
  return {
    YEAR: wall.slice(0, 4),
    MONTH: wall.slice(5, 7),
    DAY: wall.slice(8, 10),
    HOUR: wall.slice(11, 13),
    MINUTE: wall.slice(14, 16),
    SECOND: wall.slice(17, 19),
    TIMESTAMP: String(Math.floor(at.getTime() / 1_000)),
    COUNTRY: country,
  };
}

/** @param fallback the name where the pattern is empty, or leaves nothing */
export function serviceName(pattern: string, fallback: string, context: NameContext): string {
  const known = values(context);
  const name = pattern.replace(MACRO, (whole, word, wordCount, count, charset) => {
    if (typeof charset === 'string') return random(whole, charset, count);
    if (word === 'RAND') return random(whole, DIGITS, wordCount);
    if (word === 'RSTR') return random(whole, LETTERS_AND_DIGITS, wordCount);
    const value = wordCount === undefined ? known[String(word)] : undefined;
    return value ?? whole;
  });
  const kept = name.trim().slice(0, BILLING_LIMITS.serviceNameChars);
  return kept === '' ? fallback : kept;
}

function random(whole: string, charset: string, count: unknown): string {
  const characters = Number(count);
  return characters >= 1 && characters <= MOST_RANDOM ? randomOf(charset, characters) : whole;
}
