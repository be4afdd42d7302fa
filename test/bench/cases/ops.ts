/** One capability op many times within one invocation, beside the same thing done without us: what the boundary and the brokers cost. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Liquid } from 'liquidjs';
import { ofetch } from 'ofetch';
import postgres from 'postgres';
import { forPostgresJs } from '../../../src/database/endpoint.ts';
import { derivedRolePassword } from '../../../src/database/modules/passwords.ts';
import { installationNames } from '../../../src/database/modules/names.ts';
import { deploymentIdentity } from '../../../src/database/open.ts';
import { openKeyring } from '../../../src/secrets/master-key.ts';
import type { Case, CaseHow } from '../lib/case.ts';
import { type BenchHost, startBenchHost } from '../lib/host.ts';
import type { Row } from '../lib/report.ts';
import { rounds } from '../lib/rounds.ts';
import { summarize } from '../lib/stats.ts';

const ROWS = 1_000;
const TEMPLATE = fileURLToPath(new URL('../modules/Plugin/Bench/views/table.liquid', import.meta.url));

interface Op {
  readonly line: string;
  readonly count: number;
  readonly atLeast?: number;
  ours(): Promise<unknown>;
  theirs(): unknown;
}

function call(host: BenchHost, method: string, ...args: readonly unknown[]): () => Promise<unknown> {
  return () =>
    host.server.bulkhead.invoker.invoke({
      installationId: host.installationId,
      purpose: 'request',
      calls: [{ target: { on: 'module' }, method, args }],
    });
}

/** postgres.js as the installation's own role, with as many connections as it has. */
async function directSql(host: BenchHost, undo: AsyncDisposableStack): Promise<postgres.Sql> {
  const { databases } = host.server.bulkhead;
  const keyring = await openKeyring({ dataDir: host.dataDir, env: {} });
  const identity = await deploymentIdentity(
    databases.host,
    (plain) => keyring.seal('secret', 'deployment', plain),
    (sealed) => keyring.open('secret', 'deployment', sealed),
  );
  const { schema, login } = installationNames(identity.id, host.installationId);
  const password = derivedRolePassword(identity.key)(login);
  return undo.adopt(
    postgres({
      ...forPostgresJs({ ...databases.modules.endpoint, user: login, password }),
      max: 4,
      connection: { search_path: schema },
    }),
    (sql) => sql.end(),
  );
}

async function inTurn(
  count: number,
  width: number,
  work: (index: number) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < count; at += width)
    await Promise.all(Array.from({ length: width }, (_, index) => work(at + index)));
}

function dbOp(host: BenchHost, sql: postgres.Sql, count: number, width: number, title: string): Op {
  return {
    line: `Database op, ${title}: × postgres.js with the same role`,
    count,
    atLeast: 0.6,
    ours: call(host, 'query', count, width),
    theirs: () =>
      inTurn(count, width, (index) => sql`select * from items where id = ${index % ROWS} limit 1`),
  };
}

function viewOp(host: BenchHost, count: number): Op {
  const engine = new Liquid({ outputEscape: 'escape', ownPropertyOnly: true });
  const template = engine.parse(readFileSync(TEMPLATE, 'utf8'));
  const rows = Array.from({ length: 100 }, (_, id) => ({ id, name: `Row <${id}>`, price: id * 3 }));
  return {
    line: 'View of a 100-row table: × LiquidJS on the host',
    count,
    ours: call(host, 'table', count),
    theirs: () => {
      for (let round = 0; round < count; round++) engine.renderSync(template, { rows });
    },
  };
}

function httpOp(host: BenchHost, count: number, width: number): Op {
  return {
    line: `HTTP op, ${width} at once: × ofetch`,
    count,
    ours: call(host, 'ask', host.otherUrl, count, width),
    theirs: () => inTurn(count, width, () => ofetch(host.otherUrl)),
  };
}

async function timed(work: () => unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function measure(op: Op, how: CaseHow): Promise<Row[]> {
  how.say(`  ${op.line}`);
  await op.ours();
  await op.theirs();
  const measured = await rounds(
    { wanted: how.quick ? 2 : 7, most: how.quick ? 2 : 21, say: how.say },
    async () => ({ theirsMs: await timed(op.theirs), oursMs: await timed(op.ours) }),
  );
  const us = (pick: 'theirsMs' | 'oursMs'): number =>
    (summarize(measured.values.map((value) => value[pick])).median * 1_000) / op.count;
  return [
    {
      section: 'Ops',
      line: op.line,
      unit: '×',
      measured: summarize(measured.values.map(({ theirsMs, oursMs }) => theirsMs / oursMs)),
      dropped: measured.dropped,
      noisy: measured.noisy,
      ...(op.atLeast === undefined ? {} : { target: { atLeast: op.atLeast } }),
      note: `${us('oursMs').toFixed(0)} µs against ${us('theirsMs').toFixed(0)} µs`,
    },
  ];
}

export const ops: Case = {
  name: 'ops',
  title: 'Ops: database, view, HTTP',
  async run(how) {
    await using undo = new AsyncDisposableStack();
    const host = undo.use(await startBenchHost());
    const sql = await directSql(host, undo);
    const all = [
      dbOp(host, sql, 400, 1, 'one after the other'),
      dbOp(host, sql, 800, 16, '16 at once'),
      viewOp(host, 50),
      httpOp(host, 100, 1),
      httpOp(host, 200, 10),
    ];
    const rows: Row[] = [];
    for (const op of all) rows.push(...(await measure(op, how)));
    return rows;
  },
};
