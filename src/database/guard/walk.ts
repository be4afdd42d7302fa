/** Walks a parse tree along the grammar and hands each node to a visitor. What the grammar lacks is refused on the way. */
import { NODE, VALUE } from './grammar.ts';
import type { Grammar } from './grammar.ts';
import { refused } from './refusal.ts';
import { isTree } from './tree.ts';
import type { Tree } from './tree.ts';

export type Visitor = (type: string, node: Tree) => void;

/** A tree deeper than this is refused; an honest one stays far below. */
const MAX_DEPTH = 2_000;

/** What some nodes are called by people. Others are named as the parser names them. */
const CALLED: Readonly<Record<string, string>> = {
  'RangeVar.schemaname': 'a table name with a schema in front',
  'RangeVar.catalogname': 'a table name with a database in front',
  'SelectStmt.intoClause': 'SELECT INTO',
  'SortBy.useOp': 'ORDER BY … USING',
  'CreateStmt.inhRelations': 'a table that inherits',
  'CreateStmt.partbound': 'a partition',
  'CreateStmt.partspec': 'a partitioned table',
  'CreateStmt.tablespacename': 'a tablespace',
  'CreateStmt.options': 'a storage option',
  'IndexStmt.concurrent': 'CREATE INDEX CONCURRENTLY',
  CollateClause: 'COLLATE',
  RangeTableSample: 'TABLESAMPLE',
  XmlExpr: 'XML',
  TableLikeClause: 'CREATE TABLE … LIKE',
  CurrentOfExpr: 'WHERE CURRENT OF',
};

const INSTEAD = 'Write it without; docs/reference/database.md lists what is allowed.';

interface Step {
  readonly rule: string;
  readonly value: unknown;
  readonly depth: number;
}

function unknownPart(name: string): Error {
  return refused(CALLED[name] ?? name, INSTEAD);
}

function childrenOf(type: string, node: Tree, grammar: Grammar, depth: number): Step[] {
  const allowed = grammar[type];
  if (allowed === undefined || !Object.hasOwn(grammar, type)) throw unknownPart(type);
  const steps: Step[] = [];
  for (const [field, value] of Object.entries(node)) {
    const rule = Object.hasOwn(allowed, field) ? allowed[field] : undefined;
    if (rule === undefined) throw unknownPart(`${type}.${field}`);
    if (rule === VALUE) {
      if (typeof value === 'object') throw unknownPart(`${type}.${field}`);
    } else {
      steps.push({ rule, value, depth: depth + 1 });
    }
  }
  return steps;
}

/** `{SelectStmt: {…}}` → its name and body. An empty object stands for nothing, as in a list with a hole. */
function unwrap(value: Tree): readonly [string, Tree] | undefined {
  const entries = Object.entries(value);
  const first = entries[0];
  if (first === undefined) return undefined;
  if (entries.length !== 1 || !isTree(first[1])) throw unknownPart(first[0]);
  return [first[0], first[1]];
}

/**
 * Visits every node below `root` (`{SelectStmt: {…}}`), parents first. Iterative: depth costs no stack.
 * @throws HostError DB_REFUSED naming the first node or field that is not in the grammar
 */
export function walk(root: Tree, grammar: Grammar, visit: Visitor): void {
  const pending: Step[] = [{ rule: NODE, value: root, depth: 0 }];
  for (let step = pending.pop(); step !== undefined; step = pending.pop()) {
    const { rule, value, depth } = step;
    if (depth > MAX_DEPTH) throw refused('so deep a statement', 'Split it into several.');
    if (Array.isArray(value)) {
      for (const item of value.toReversed()) pending.push({ rule: NODE, value: item, depth: depth + 1 });
      continue;
    }
    if (!isTree(value)) throw unknownPart(rule);
    const found = rule === NODE ? unwrap(value) : ([rule, value] as const);
    if (found === undefined) continue;
    const [type, node] = found;
    const children = childrenOf(type, node, grammar, depth);
    visit(type, node);
    pending.push(...children.toReversed());
  }
}
