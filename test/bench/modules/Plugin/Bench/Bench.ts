/** What the bench measures, as a module does it: a route with and without a capability call, a job, queries, a view, requests. */
import { Plugin, type Permission, type Route } from 'bulkhead';

interface Tables {
  items: { id: number; name: string; price: number };
}

const ROWS = 1_000;

export default class Bench extends Plugin<Tables> {
  override async activate(): Promise<string> {
    await this.db.schema
      .createTable('items')
      .ifNotExists()
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('price', 'integer', (column) => column.notNull())
      .execute();
    const rows = Array.from({ length: ROWS }, (_, id) => ({ id, name: `item ${id}`, price: id * 3 }));
    for (let at = 0; at < ROWS; at += 100)
      await this.db
        .insertInto('items')
        .values(rows.slice(at, at + 100))
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute();
    return 'success';
  }

  override adminPermissions(): Permission[] {
    return [{ name: 'Use', key: 'use', description: 'Ask the bench module' }];
  }

  override adminApiRoutes(): Route[] {
    return ['hello', 'call'].map((name) => ({
      method: 'post',
      uri: name,
      permission: 'use',
      name,
      controller: `BenchController@${name}`,
    }));
  }

  noopJob(): { status: string } {
    return { status: 'success' };
  }

  empty(): string {
    return '';
  }

  /** @param width queries under way at once */
  async query(count: number, width: number): Promise<number> {
    let sum = 0;
    for (let at = 0; at < count; at += width) {
      const found = await Promise.all(
        Array.from({ length: width }, (_, index) =>
          this.db
            .selectFrom('items')
            .selectAll()
            .where('id', '=', (at + index) % ROWS)
            .executeTakeFirst(),
        ),
      );
      sum += found.reduce((total, row) => total + (row?.price ?? 0), 0);
    }
    return sum;
  }

  table(count: number): number {
    const rows = Array.from({ length: 100 }, (_, id) => ({ id, name: `Row <${id}>`, price: id * 3 }));
    let length = 0;
    for (let round = 0; round < count; round++) length += this.view('table', { rows }).length;
    return length;
  }

  async ask(url: string, count: number, width: number): Promise<number> {
    let sum = 0;
    for (let at = 0; at < count; at += width) {
      const answers = await Promise.all(
        Array.from({ length: width }, async () => {
          const response = await this.http.fetch(url);
          return (await response.json()) as { value: number };
        }),
      );
      sum += answers.reduce((total, { value }) => total + value, 0);
    }
    return sum;
  }
}
