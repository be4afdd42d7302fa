/**
 * Values between JSON and PostgreSQL's text form. postgres.js would guess types from JavaScript values and encode a text for a JSON
 * column a second time, so everything is rendered and read here: parameters as texts whose type the server decides, cells by
 * the type the server names.
 */
import type { OpOutput } from '../../../sandbox/contract/capabilities.ts';

export type Column = OpOutput<'db', 'query'>['columns'][number];
type ColumnType = Column['type'];

/** Types by their oid, which PostgreSQL never changes (pg_type.dat). */
const OIDS: Readonly<Record<number, ColumnType>> = {
  16: 'boolean',
  17: 'bytes',
  20: 'bigint',
  21: 'number',
  23: 'number',
  26: 'number',
  114: 'json',
  700: 'number',
  701: 'number',
  1082: 'date',
  1114: 'timestamp',
  1184: 'timestamp',
  1700: 'numeric',
  3802: 'json',
};

/** Array type → type of its elements. */
const ARRAYS: Readonly<Record<number, number>> = {
  199: 114,
  651: 650,
  1000: 16,
  1001: 17,
  1005: 21,
  1007: 23,
  1009: 25,
  1014: 1042,
  1015: 1043,
  1016: 20,
  1021: 700,
  1022: 701,
  1028: 26,
  1041: 869,
  1115: 1114,
  1182: 1082,
  1183: 1083,
  1185: 1184,
  1187: 1186,
  1231: 1700,
  1270: 1266,
  2951: 2950,
  3807: 3802,
};

const JSON_OIDS = [114, 3802];
const OTHER_OIDS = [
  16, 17, 20, 21, 23, 25, 26, 650, 700, 701, 869, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950,
];

function isBytes(value: object): value is { readonly $bytes: string } {
  return '$bytes' in value && typeof value.$bytes === 'string' && Object.keys(value).length === 1;
}

/** A parameter as PostgreSQL's text: texts as they are, `{"$bytes"}` as hex, anything with parts as JSON. */
function renderScalar(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return String(value);
  if (isBytes(value)) return `\\x${Buffer.from(value.$bytes, 'base64').toString('hex')}`;
  return JSON.stringify(value);
}

function renderJson(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function renderElement(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Array.isArray(value)) return renderArray(value);
  return `"${renderScalar(value).replace(/["\\]/g, '\\$&')}"`;
}

/** A list as an array literal; a text is taken for one already. */
function renderArray(value: unknown): string {
  return Array.isArray(value) ? `{${value.map(renderElement).join(',')}}` : renderScalar(value);
}

/** `types` for postgres(…): every type that may be a parameter's, rendered as above. Reading is left to cellReader. */
export const PARAMETER_TYPES = {
  json: { to: 114, from: JSON_OIDS, serialize: renderJson, parse: (text: string) => text },
  list: {
    to: 1009,
    from: Object.keys(ARRAYS).map(Number),
    serialize: renderArray,
    parse: (text: string) => text,
  },
  other: { to: 25, from: OTHER_OIDS, serialize: renderScalar, parse: (text: string) => text },
};

/** What a column of this type is called on the wire. */
export function columnType(oid: number): ColumnType {
  return OIDS[oid] ?? (ARRAYS[oid] === undefined ? 'text' : 'array');
}

type Reader = (text: string, oid: number) => unknown;

const asIs: Reader = (text) => text;

const READERS: Readonly<Record<ColumnType, Reader>> = {
  text: asIs,
  numeric: asIs,
  date: asIs,
  boolean: (text) => text === 't',
  number: (text) => (Number.isFinite(Number(text)) ? Number(text) : text),
  bigint: (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text),
  json: (text) => JSON.parse(text),
  timestamp: isoInstant,
  bytes: (text) => ({ $bytes: Buffer.from(text.slice(2), 'hex').toString('base64') }),
  array: (text, oid) => decodeArray(text, ARRAYS[oid] ?? 0),
};

/** Makes JSON of the texts of a column. Integers beyond 2^53, numerics and NaN stay texts; instants become ISO 8601. */
export function cellReader(oid: number): (text: string) => unknown {
  const read = READERS[columnType(oid)];
  return (text) => read(text, oid);
}

/** `2026-11-22 15:04:05.678+00` → `2026-11-22T15:04:05.678Z`; what no Date can hold (infinity, BC) stays as it is. */
function isoInstant(text: string): string {
  const iso = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:\+00)?$/.exec(text);
  if (iso === null) return text;
  const instant = new Date(`${iso[1]}T${iso[2]}Z`);
  return Number.isNaN(instant.getTime()) ? text : instant.toISOString();
}

/** `{1,NULL,"a\"b",{…}}` → a list; elements by their type. */
function decodeArray(text: string, elementOid: number): unknown[] {
  // `[0:2]={…}`: bounds other than 1 are written in front.
  let at = text.indexOf('{') + 1;
  const read = cellReader(elementOid);
  const readQuoted = (): string => {
    let value = '';
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
      if (text[at] === '\\') at += 1;
      value += text[at] ?? '';
    }
    at += 1;
    return value;
  };
  const readList = (): unknown[] => {
    const list: unknown[] = [];
    while (at < text.length && text[at] !== '}') {
      if (text[at] === ',') at += 1;
      if (text[at] === '{') {
        at += 1;
        list.push(readList());
      } else if (text[at] === '"') {
        list.push(read(readQuoted()));
      } else {
        const plain = /[^,}]*/y;
        plain.lastIndex = at;
        const value = plain.exec(text)?.[0] ?? '';
        at += value.length;
        list.push(value === 'NULL' ? null : read(value));
      }
    }
    at += 1;
    return list;
  };
  return readList();
}
