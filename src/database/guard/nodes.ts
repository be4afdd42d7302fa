/** What the grammar cannot say: which functions, types, operators and kinds of each node are allowed. One small check a node. */
import { BETWEEN_OPERATORS, CLOCKS, FUNCTIONS, OPERATORS, TYPES } from './allowed.ts';
import { refused } from './refusal.ts';
import { isTree, namesOf, textOf } from './tree.ts';
import type { Tree } from './tree.ts';

type Check = (node: Tree) => void;

const CATALOG = 'pg_catalog';
const RESERVED_PREFIX = 'pg_';
const INDEX_METHODS = new Set(['btree', 'hash', 'gin']);
const CONSTRAINTS = new Set(
  'CONSTR_NULL CONSTR_NOTNULL CONSTR_DEFAULT CONSTR_IDENTITY CONSTR_GENERATED CONSTR_CHECK CONSTR_PRIMARY CONSTR_UNIQUE CONSTR_FOREIGN CONSTR_ATTR_DEFERRABLE CONSTR_ATTR_NOT_DEFERRABLE CONSTR_ATTR_DEFERRED CONSTR_ATTR_IMMEDIATE'.split(
    ' ',
  ),
);
const ALTERATIONS = new Set(
  'AT_AddColumn AT_DropColumn AT_ColumnDefault AT_SetNotNull AT_DropNotNull AT_AlterColumnType AT_AddConstraint AT_DropConstraint'.split(
    ' ',
  ),
);
const RENAMED = new Set(['OBJECT_TABLE', 'OBJECT_COLUMN', 'OBJECT_INDEX', 'OBJECT_TABCONSTRAINT']);

/** The last of a name of one part, or of two with pg_catalog in front (the parser's own way to write `trim(…)`). */
function plainName(value: unknown): string | undefined {
  const names = namesOf(value);
  if (names === undefined || names.length === 0 || names.length > 2) return undefined;
  return names.length === 2 && names[0] !== CATALOG ? undefined : names.at(-1);
}

function spelled(value: unknown): string {
  return namesOf(value)?.join('.') ?? 'a name';
}

/** A name the module gives or uses for something of its own. */
function checkOwnName(name: string): void {
  if (name.startsWith(RESERVED_PREFIX)) {
    throw refused(`the name ${name}`, `Names that begin with ${RESERVED_PREFIX} belong to PostgreSQL.`);
  }
}

function checkFunction(node: Tree): void {
  const name = plainName(node['funcname']);
  if (name === undefined || !FUNCTIONS.has(name)) {
    throw refused(
      `the function ${spelled(node['funcname'])}()`,
      'docs/reference/database.md lists the functions there are.',
    );
  }
}

function checkType(node: Tree): void {
  const name = plainName(node['names']);
  if (name === undefined || !TYPES.has(name)) {
    throw refused(`the type ${spelled(node['names'])}`, `There are: ${[...TYPES].join(', ')}.`);
  }
}

function checkOperator(value: unknown): void {
  const names = namesOf(value) ?? [];
  const name = names[0] ?? '';
  if (names.length !== 1 || !(OPERATORS.has(name) || BETWEEN_OPERATORS.has(name))) {
    throw refused(`the operator ${spelled(value)}`, `There are: ${[...OPERATORS].join(' ')}.`);
  }
}

function checkSubscripts(node: Tree): void {
  const steps = node['indirection'];
  const list: readonly unknown[] = Array.isArray(steps) ? steps : [];
  if (list.some((step) => !isTree(step) || !Object.hasOwn(step, 'A_Indices'))) {
    throw refused('a field of a value, (x).y', 'Write table.column; for JSON write x -> y.');
  }
}

function checkRelation(node: Tree): void {
  checkOwnName(textOf(node['relname']));
  if (textOf(node['relpersistence']) !== 'p') {
    throw refused('a temporary or unlogged table', 'Make a plain table in activate().');
  }
}

function checkDropped(node: Tree): void {
  const objects: readonly unknown[] = Array.isArray(node['objects']) ? node['objects'] : [];
  const type = textOf(node['removeType']);
  if (type !== 'OBJECT_TABLE' && type !== 'OBJECT_INDEX')
    throw refused(`DROP of ${type}`, 'Tables and indexes may be dropped.');
  for (const object of objects) {
    const names = isTree(object) && isTree(object['List']) ? namesOf(object['List']['items']) : undefined;
    if (names?.length !== 1) throw refused('a table name with a schema in front', 'Name the table alone.');
    checkOwnName(names[0] ?? '');
  }
}

function oneOf(allowed: ReadonlySet<string>, field: string, instead: string): Check {
  return (node) => {
    const value = textOf(node[field]);
    if (!allowed.has(value)) throw refused(value, instead);
  };
}

const checkRenamed = oneOf(
  RENAMED,
  'renameType',
  'A table, a column, an index or a constraint may be renamed.',
);

const CHECKS: Readonly<Record<string, Check>> = {
  FuncCall: checkFunction,
  TypeName: checkType,
  A_Expr: (node) => checkOperator(node['name']),
  SubLink: (node) => {
    if (node['operName'] !== undefined) checkOperator(node['operName']);
  },
  A_Indirection: checkSubscripts,
  ResTarget: (node) => {
    if (node['indirection'] !== undefined) checkSubscripts(node);
  },
  SQLValueFunction: oneOf(
    CLOCKS,
    'op',
    'Of these only current_date, current_time and current_timestamp are there.',
  ),
  RangeVar: checkRelation,
  CommonTableExpr: (node) => checkOwnName(textOf(node['ctename'])),
  Constraint: oneOf(
    CONSTRAINTS,
    'contype',
    'Use not null, default, check, primary key, unique or references.',
  ),
  AlterTableCmd: oneOf(
    ALTERATIONS,
    'subtype',
    'Columns, their type, default and not null, and constraints may be altered.',
  ),
  AlterTableStmt: oneOf(new Set(['OBJECT_TABLE']), 'objtype', 'Only tables may be altered.'),
  RenameStmt: (node) => {
    checkRenamed(node);
    checkOwnName(textOf(node['newname']));
  },
  IndexStmt: oneOf(INDEX_METHODS, 'accessMethod', 'An index is btree, hash or gin.'),
  DropStmt: checkDropped,
};

/** @throws HostError DB_REFUSED naming what is not allowed in this node */
export function checkNode(type: string, node: Tree): void {
  CHECKS[type]?.(node);
}
