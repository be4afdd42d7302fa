/**
 * The guard: which SQL of a module may run. PostgreSQL's own parser reads the text, and its parse tree must consist of nothing but
 * what grammar.ts, allowed.ts and nodes.ts list. It is the fourth of five layers: below it the installation's own database role has
 * rights to its own rows and to nothing else, so that a hole here is a nuisance and no breach.
 */
import { ColumnNotation } from './column-notation.ts';
import { DDL, DML } from './grammar.ts';
import { checkText } from './lexical.ts';
import { LruByLength } from './lru.ts';
import { checkNode } from './nodes.ts';
import { parseText } from './parser.ts';
import { refused } from './refusal.ts';
import { isTree, textOf } from './tree.ts';
import type { Tree } from './tree.ts';
import { walk } from './walk.ts';

/** 'dml': rows only. 'ddl': rows, and the module's own tables and indexes (activate and update). */
export type Mode = 'dml' | 'ddl';

export interface Verdict {
  readonly kind: 'select' | 'insert' | 'update' | 'delete' | 'ddl';
  /** Tables that the statement names, without the names it makes itself (WITH). */
  readonly tables: readonly string[];
  /** Something is inserted, updated or deleted, be it inside WITH. */
  readonly writes: boolean;
  /** Something is inserted, updated, or made (a table, a column, an index): what a full installation may not do. */
  readonly grows: boolean;
  /** The answer has rows: SELECT or RETURNING. */
  readonly returns: boolean;
}

const KINDS: Readonly<Record<string, Verdict['kind']>> = {
  SelectStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  CreateStmt: 'ddl',
  AlterTableStmt: 'ddl',
  RenameStmt: 'ddl',
  IndexStmt: 'ddl',
  DropStmt: 'ddl',
};
const GROWING_DDL = new Set(['CreateStmt', 'AlterTableStmt', 'IndexStmt']);
const CACHE_CHARACTERS = 4_000_000;
const cache = new LruByLength<Verdict>(CACHE_CHARACTERS);

function hintFor(statement: string): string {
  if (statement === 'TransactionStmt') return 'Use this.db.transaction().execute(async (trx) => …).';
  if (statement.startsWith('VariableSet')) return 'Settings of the session are the host’s.';
  if (statement === 'CopyStmt') return 'Insert in batches, read with stream().';
  return 'A module may run SELECT, INSERT, UPDATE and DELETE, and CREATE, ALTER and DROP of its own tables and indexes in activate() and update().';
}

/** The one statement of a text, as `{SelectStmt: {…}}`, with its type. */
function onlyStatement(sql: string): readonly [string, Tree] {
  const statements = parseText(sql)['stmts'];
  const list: readonly unknown[] = Array.isArray(statements) ? statements : [];
  const first = list[0];
  const tree = isTree(first) ? first['stmt'] : undefined;
  if (list.length !== 1 || !isTree(tree)) {
    throw refused(`a text of ${list.length} statements`, 'Send one statement at a time.');
  }
  return [Object.keys(tree)[0] ?? '', tree];
}

function kindOf(type: string, mode: Mode): Verdict['kind'] {
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind === undefined) throw refused(type.replace(/Stmt$/, ''), hintFor(type));
  if (kind === 'ddl' && mode === 'dml') {
    throw refused('a change of tables', 'CREATE, ALTER and DROP run in activate() and update() only.');
  }
  return kind;
}

function examine(sql: string, mode: Mode): Verdict {
  checkText(sql);
  const [type, tree] = onlyStatement(sql);
  const kind = kindOf(type, mode);
  const notation = new ColumnNotation();
  const tables = new Set<string>();
  const made = new Set<string>();
  const seen = new Set<string>();
  walk(tree, kind === 'ddl' ? DDL : DML, (name, node) => {
    checkNode(name, node);
    notation.visit(name, node);
    seen.add(name);
    if (name === 'RangeVar') tables.add(textOf(node['relname']));
    if (name === 'CommonTableExpr') made.add(textOf(node['ctename']));
  });
  notation.judge();
  const root = tree[type];
  const changesRows = seen.has('InsertStmt') || seen.has('UpdateStmt');
  return {
    kind,
    tables: [...tables].filter((table) => !made.has(table)),
    writes: changesRows || seen.has('DeleteStmt'),
    grows: changesRows || GROWING_DDL.has(type),
    returns: kind === 'select' || (isTree(root) && root['returningClause'] !== undefined),
  };
}

/**
 * Judges one statement of a module. Verdicts are remembered by text.
 * @throws HostError DB_REFUSED, naming what is refused and what to write instead
 */
export function checkStatement(sql: string, options: { readonly mode: Mode }): Verdict {
  const key = `${options.mode} ${sql}`;
  const known = cache.get(key);
  if (known !== undefined) return known;
  const verdict = examine(sql, options.mode);
  cache.set(key, verdict);
  return verdict;
}
