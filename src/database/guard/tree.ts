/** Reading a parse tree that is only known to be JSON: the few looks that the checks need, each total. */

export type Tree = Readonly<Record<string, unknown>>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A list of String nodes as texts; undefined if something else is among them. */
export function namesOf(value: unknown): string[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return undefined;
  const names: string[] = [];
  for (const item of value) {
    const node = isTree(item) && isTree(item['String']) ? item['String'] : undefined;
    // An empty text is left out by the parser's JSON.
    if (node === undefined) return undefined;
    names.push(textOf(node['sval']));
  }
  return names;
}
