/**
 * `t.f` is a column or a call. When t has no column f, PostgreSQL calls the function f on the whole of t, which would walk
 * around the list of functions: `select t.pg_sleep from unnest(array[5]) as t`.
 *
 * What t is decides what such a call can reach (makeWholeRowVar in PostgreSQL's makefuncs.c):
 * - a table, subquery, CTE, VALUES or join is a row, and only functions that take any row fit it: ROW_FUNCTIONS, never after a dot;
 * - a function in FROM may be a plain value, which fits any function of one argument: after its name only columns it surely has.
 * So no knowledge of the real columns is needed, and what is refused is never a name an honest column has.
 */
import { FUNCTIONS, ROW_FUNCTIONS } from './allowed.ts';
import { refused } from './refusal.ts';
import { isTree, namesOf, textOf } from './tree.ts';
import type { Tree } from './tree.ts';

/** Columns of jsonb_each() and `with ordinality`; no function has such a name. */
const COLUMNS_OF_FUNCTIONS = ['key', 'value', 'ordinality'];

interface Reference {
  readonly of: string;
  readonly column: string;
}

/** Collects what a statement says about names with a dot, and judges it when all of it is known. */
export class ColumnNotation {
  readonly #references: Reference[] = [];
  /** Name in FROM → columns that every function of that name surely has. */
  readonly #functions = new Map<string, ReadonlySet<string>>();

  visit(type: string, node: Tree): void {
    if (type === 'ColumnRef') this.#reference(node);
    if (type === 'RangeFunction') this.#rangeFunction(node);
  }

  #reference(node: Tree): void {
    const parts = Array.isArray(node['fields']) ? node['fields'] : [];
    if (parts.length > 2) throw refused('a column name with a schema in front', 'Write table.column.');
    const names = namesOf(parts);
    const [of, column] = names ?? [];
    if (of !== undefined && column !== undefined) this.#references.push({ of, column });
  }

  #rangeFunction(node: Tree): void {
    const alias = isTree(node['alias']) ? node['alias'] : {};
    const named = textOf(alias['aliasname']);
    const name = named === '' ? nameOfOnly(node['functions']) : named;
    if (name === undefined)
      throw refused('a function in FROM without a name', 'Give it an alias: from f(…) as t(column).');
    // Not its alias: jsonb_array_elements(…) as t has a column "value" and none named t.
    const columns = new Set([...COLUMNS_OF_FUNCTIONS, ...(namesOf(alias['colnames']) ?? [])]);
    const before = this.#functions.get(name);
    const sure = before === undefined ? columns : [...before].filter((column) => columns.has(column));
    this.#functions.set(name, new Set(sure));
  }

  /** @throws HostError DB_REFUSED for a reference that might be a call of a function outside the list */
  judge(): void {
    for (const { of, column } of this.#references) {
      if (FUNCTIONS.has(column)) continue;
      const columns = this.#functions.get(of);
      if (ROW_FUNCTIONS.has(column) || (columns !== undefined && !columns.has(column))) {
        throw refused(
          `${of}.${column}, which may call the function ${column}`,
          `Name the column in FROM: … as ${of}(column), or choose another column name.`,
        );
      }
    }
  }
}

/** What PostgreSQL calls a single, plain call in FROM that has no alias: `unnest(…)` → 'unnest'. */
function nameOfOnly(functions: unknown): string | undefined {
  if (!Array.isArray(functions) || functions.length !== 1) return undefined;
  const entry: unknown = functions[0];
  const items = isTree(entry) && isTree(entry['List']) ? entry['List']['items'] : undefined;
  const call: unknown = Array.isArray(items) ? items[0] : undefined;
  const body = isTree(call) && isTree(call['FuncCall']) ? call['FuncCall'] : undefined;
  return body === undefined ? undefined : namesOf(body['funcname'])?.at(-1);
}
