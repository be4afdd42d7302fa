/**
 * The shape of every parse tree that is let through: each node that may occur, each field it may have, and what stands in that
 * field. A node or field that is not here is refused, so whatever a later PostgreSQL adds is refused until someone has looked.
 *
 * A field is VALUE (a number, text or flag), NODE (any node of this table, or a list of them), or the name of the one node
 * it holds: the parser writes those without their name around them.
 */

export const VALUE = 'value';
export const NODE = 'node';

export type Fields = Readonly<Record<string, string>>;
export type Grammar = Readonly<Record<string, Fields>>;

function fields(values: string, nodes = '', named: Fields = {}): Fields {
  const list = (text: string): string[] => text.split(' ').filter((name) => name !== '');
  return Object.freeze({
    ...Object.fromEntries(list(`${values} location`).map((name) => [name, VALUE])),
    ...Object.fromEntries(list(nodes).map((name) => [name, NODE])),
    ...named,
  });
}

const LEAF = fields('ival fval sval boolval bsval isnull');

/** Rows and expressions: what SELECT, INSERT, UPDATE and DELETE are made of. */
export const DML: Grammar = {
  SelectStmt: fields(
    'op all limitOption groupDistinct',
    'distinctClause targetList fromClause whereClause groupClause havingClause windowClause valuesLists sortClause limitOffset limitCount lockingClause',
    { larg: 'SelectStmt', rarg: 'SelectStmt', withClause: 'WithClause' },
  ),
  InsertStmt: fields('override', 'cols selectStmt', {
    relation: 'RangeVar',
    onConflictClause: 'OnConflictClause',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
  }),
  UpdateStmt: fields('', 'targetList whereClause fromClause', {
    relation: 'RangeVar',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
  }),
  DeleteStmt: fields('', 'usingClause whereClause', {
    relation: 'RangeVar',
    returningClause: 'ReturningClause',
    withClause: 'WithClause',
  }),
  ReturningClause: fields('', 'exprs'),
  OnConflictClause: fields('action', 'targetList whereClause', { infer: 'InferClause' }),
  InferClause: fields('conname', 'indexElems whereClause'),
  WithClause: fields('recursive', 'ctes'),
  CommonTableExpr: fields('ctename ctematerialized', 'aliascolnames ctequery'),
  RangeVar: fields('relname inh relpersistence', '', { alias: 'Alias' }),
  RangeSubselect: fields('lateral', 'subquery', { alias: 'Alias' }),
  RangeFunction: fields('lateral ordinality is_rowsfrom', 'functions', { alias: 'Alias' }),
  JoinExpr: fields('jointype isNatural rtindex', 'larg rarg usingClause quals', {
    join_using_alias: 'Alias',
    alias: 'Alias',
  }),
  Alias: fields('aliasname', 'colnames'),
  LockingClause: fields('strength waitPolicy', 'lockedRels'),
  SortBy: fields('sortby_dir sortby_nulls', 'node'),
  GroupingSet: fields('kind', 'content'),
  GroupingFunc: fields('agglevelsup', 'args'),
  WindowDef: fields('name refname frameOptions', 'partitionClause orderClause startOffset endOffset'),
  ResTarget: fields('name', 'indirection val'),
  MultiAssignRef: fields('colno ncolumns', 'source'),
  IndexElem: fields('name ordering nulls_ordering', 'expr'),
  ColumnRef: fields('', 'fields'),
  ParamRef: fields('number'),
  A_Const: fields('isnull', '', { ival: 'Leaf', fval: 'Leaf', sval: 'Leaf', boolval: 'Leaf', bsval: 'Leaf' }),
  A_Expr: fields('kind rexpr_list_start rexpr_list_end', 'name lexpr rexpr'),
  A_ArrayExpr: fields('list_start list_end', 'elements'),
  A_Indirection: fields('', 'arg indirection'),
  A_Indices: fields('is_slice', 'lidx uidx'),
  A_Star: fields(''),
  BoolExpr: fields('boolop', 'args'),
  BooleanTest: fields('booltesttype', 'arg'),
  NullTest: fields('nulltesttype argisrow', 'arg'),
  CaseExpr: fields('', 'arg args defresult'),
  CaseWhen: fields('', 'expr result'),
  CoalesceExpr: fields('', 'args'),
  MinMaxExpr: fields('op', 'args'),
  RowExpr: fields('row_format', 'args colnames'),
  SubLink: fields('subLinkType subLinkId', 'testexpr operName subselect'),
  SetToDefault: fields(''),
  SQLValueFunction: fields('op typmod'),
  FuncCall: fields(
    'agg_within_group agg_star agg_distinct func_variadic funcformat',
    'funcname args agg_order agg_filter',
    { over: 'WindowDef' },
  ),
  NamedArgExpr: fields('name argnumber', 'arg'),
  TypeCast: fields('', 'arg', { typeName: 'TypeName' }),
  TypeName: fields('typemod', 'names typmods arrayBounds'),
  List: fields('', 'items'),
  String: LEAF,
  Integer: LEAF,
  Float: LEAF,
  Leaf: LEAF,
};

/** Tables and indexes: what activate() and update() may make, change and drop. */
export const DDL: Grammar = {
  ...DML,
  CreateStmt: fields('oncommit if_not_exists', 'tableElts', { relation: 'RangeVar' }),
  ColumnDef: fields('colname is_local', 'constraints raw_default', { typeName: 'TypeName' }),
  Constraint: fields(
    'contype conname generated_when generated_kind nulls_not_distinct fk_matchtype fk_upd_action fk_del_action deferrable initdeferred initially_valid is_enforced skip_validation',
    'raw_expr keys fk_attrs pk_attrs fk_del_set_cols',
    { pktable: 'RangeVar' },
  ),
  AlterTableStmt: fields('objtype missing_ok', 'cmds', { relation: 'RangeVar' }),
  AlterTableCmd: fields('subtype name behavior missing_ok', 'def'),
  RenameStmt: fields('renameType relationType subname newname behavior missing_ok', '', {
    relation: 'RangeVar',
  }),
  IndexStmt: fields(
    'idxname accessMethod unique nulls_not_distinct if_not_exists',
    'indexParams whereClause',
    {
      relation: 'RangeVar',
    },
  ),
  DropStmt: fields('removeType behavior missing_ok', 'objects'),
};
