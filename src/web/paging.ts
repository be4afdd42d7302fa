/** Pages of a long list by number: one row more than shown is read, so that no count is needed to know whether a next page is there. */
import { WEB_LIMITS } from './limits.ts';

export interface Paging {
  readonly page: number;
  readonly previous: string | null;
  readonly next: string | null;
}

const MAX_PAGE = 1_000;

/** Page number of a query, from 1. */
export function pageNumber(text: string | undefined): number {
  const page = Number(text ?? 1);
  return Number.isInteger(page) && page >= 1 && page <= MAX_PAGE ? page : 1;
}

export function rowsFrom(page: number): number {
  return (page - 1) * WEB_LIMITS.pageRows;
}

/** Cuts the extra row and makes the links; the other query parameters stay. */
export function paged<T>(
  url: string,
  page: number,
  rows: readonly T[],
): { rows: readonly T[]; paging: Paging } {
  const link = (to: number): string => {
    const query = new URL(url).searchParams;
    query.set('page', String(to));
    return `?${query.toString()}`;
  };
  const more = rows.length > WEB_LIMITS.pageRows;
  return {
    rows: rows.slice(0, WEB_LIMITS.pageRows),
    paging: { page, previous: page > 1 ? link(page - 1) : null, next: more ? link(page + 1) : null },
  };
}
