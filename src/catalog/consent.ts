/** The consent page's lines: what a version asks for, in plain words, against what is granted and used. All derived from the contract. */
import type { Kysely } from 'kysely';
import { capabilities, type CapabilityName } from '../../sandbox/contract/capabilities.ts';
import {
  type Ask,
  type GrantField,
  type Grants,
  isAskedBy,
  notGranted,
  wordsOf,
} from '../../sandbox/contract/grant.ts';
import type { Tables } from '../database/tables.ts';
import type { Consent, ConsentLine } from '../web/deps.ts';

interface Use {
  readonly uses: number;
  readonly lastUsedAt: Date | null;
}

export interface LinesOptions {
  /** Asks of the version that runs now, when `asks` belong to a waiting update. */
  readonly before?: readonly Ask[] | undefined;
  /** The module runs, so that what it did not use it could have used. */
  readonly ran?: boolean;
}

export function consentLines(
  asks: readonly Ask[],
  grants: Grants,
  uses: ReadonlyMap<string, Use>,
  { before, ran = false }: LinesOptions = {},
): ConsentLine[] {
  const missing = new Set(notGranted(asks, grants, capabilities).map((ask) => ask.id));
  return asks.map((ask) => {
    const granted = !missing.has(ask.id);
    const parts = grantedParts(ask, grants);
    const added = before !== undefined && !isAskedBy(ask, before);
    const use = useOf(ask, parts.grantedItem, uses);
    // Of what was never granted, or has only just been asked for, nothing can be said.
    const says = use.uses > 0 || (ran && granted && !added && isMeasured(ask));
    return { ...lineBase(ask), granted, ...parts, added, ...(says ? use : {}) };
  });
}

/** Capabilities without calls (compute) bound what runs anyway. */
function isMeasured({ capability }: Ask): boolean {
  return capability === 'redirect' || Object.keys(capabilities[capability as CapabilityName].ops).length > 0;
}

/** Of a line itself, or of what it was narrowed to; an amount is used by whatever of its capability is. */
function useOf(ask: Ask, grantedItem: string | undefined, uses: ReadonlyMap<string, Use>): Use {
  const name = `${ask.capability}.${ask.field}`;
  const ids = new Set([ask.id, `${name}:${grantedItem ?? ask.item}`]);
  const isOfLine = (item: string): boolean =>
    ids.has(item) || (fieldOf(ask)?.sort === 'amount' && item.startsWith(`${ask.capability}.`));
  const own = [...uses].filter(([item]) => isOfLine(item)).map(([, use]) => use);
  const times = own.flatMap(({ lastUsedAt }) => (lastUsedAt === null ? [] : [lastUsedAt.getTime()]));
  return {
    uses: own.reduce((sum, { uses: count }) => sum + count, 0),
    lastUsedAt: times.length === 0 ? null : new Date(Math.max(...times)),
  };
}

function fieldOf(ask: Ask): GrantField | undefined {
  const grant: Readonly<Record<string, GrantField>> = capabilities[ask.capability as CapabilityName].grant;
  return grant[ask.field];
}

function lineBase(ask: Ask): Omit<ConsentLine, 'granted' | 'added'> {
  const capability = capabilities[ask.capability as CapabilityName];
  const field = fieldOf(ask);
  const { text, risk } = wordsOf(ask, capabilities);
  return {
    id: ask.id,
    capability: ask.capability,
    capabilityTitle: capability.title,
    icon: capability.icon,
    field: ask.field,
    sort: field?.sort ?? 'switch',
    item: ask.item,
    narrowable: field?.sort === 'list' && field.covers !== undefined && ask.item.includes('*'),
    ...(ask.amount === undefined ? {} : { amount: ask.amount }),
    ...(field?.sort === 'amount' ? { unit: field.unit } : {}),
    optional: ask.optional,
    reason: ask.reason,
    risk,
    text,
  };
}

function grantedParts(ask: Ask, grants: Grants): { grantedAmount?: number; grantedItem?: string } {
  const value = grants[ask.capability]?.[ask.field];
  if (typeof value === 'number') return { grantedAmount: value };
  const field = fieldOf(ask);
  if (!Array.isArray(value) || field?.sort !== 'list') return {};
  const item = value.find(
    (granted): granted is string =>
      typeof granted === 'string' && (granted === ask.item || field.covers?.(ask.item, granted) === true),
  );
  return item === undefined ? {} : { grantedItem: item };
}

/** Ids of what must be granted before the module can be enabled. */
export function missingMandatory(asks: readonly Ask[], grants: Grants): string[] {
  return notGranted(asks, grants, capabilities)
    .filter((ask) => !ask.optional)
    .map((ask) => ask.id);
}

export async function readUses(
  db: Kysely<Tables>,
  installationId: string,
): Promise<ReadonlyMap<string, Use>> {
  const rows = await db
    .selectFrom('grant_use')
    .selectAll()
    .where('installation_id', '=', installationId)
    .execute();
  return new Map(rows.map((row) => [row.item, { uses: row.uses, lastUsedAt: row.last_used_at }]));
}

export function consentOf(
  version: string,
  asks: readonly Ask[],
  grants: Grants,
  uses: ReadonlyMap<string, Use>,
): Consent {
  return { version, lines: consentLines(asks, grants, uses), missing: missingMandatory(asks, grants) };
}
