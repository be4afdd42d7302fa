/** What holds for a module of any type. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { enqueueTask } from '../../jobs/queue.ts';
import type { Case } from './case.ts';
import { must, none } from './case.ts';
import { readable } from './readable.ts';

const warnings: Case = {
  name: 'is read without a warning',
  async run({ declaration }) {
    none('warnings', declaration.warnings);
  },
};

const again: Case = {
  name: 'activates again on the data it has, and deactivates without dropping any',
  async run({ module }) {
    const { installationId, adminId, host } = module.installed;
    const { catalog, db } = host.bulkhead.panel;
    const tables = async (): Promise<string> => {
      const { schema_name: schema } = await db
        .selectFrom('installations')
        .select('schema_name')
        .where('id', '=', installationId)
        .executeTakeFirstOrThrow();
      const rows = await host.bulkhead.databases.modules.sql<{ name: string }[]>`
        select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${schema ?? ''} and c.relkind = 'r' order by 1`;
      return rows.map(({ name }) => name).join(', ');
    };
    const before = await tables();
    must((await module.call('activate')) === 'success', 'a second activate() must return "success"');
    await catalog.disable(installationId, adminId);
    const kept = await tables();
    must(
      kept === before,
      `deactivate() changed the tables from "${before}" to "${kept}"; drops belong in purge()`,
    );
    await catalog.enable(installationId, adminId);
    must((await tables()) === before, 'activate() on kept data made other tables');
  },
};

const update: Case = {
  name: 'updates from its own version without a change',
  async run({ module, manifest }) {
    must((await module.call('update', manifest.version)) === 'success', 'update() must return "success"');
  },
};

const pages: Case = {
  name: 'answers each of its admin pages, and only to who has the permission',
  applies: ({ declaration }) => declaration.web_routes.some((route) => route.method === 'get'),
  async run({ module, declaration }) {
    for (const { uri, method } of declaration.web_routes) {
      if (method !== 'get' || uri.includes('{')) continue;
      const answer = await module.request('GET', uri);
      must(answer.status < 500, `GET ${uri} answered ${answer.status}`);
      const refused = await module.request('GET', uri, undefined, { ...module.admin, permissions: [] }).then(
        () => 'answered',
        (error: unknown) => (error instanceof HostError ? error.code : String(error)),
      );
      must(refused === 'NOT_GRANTED', `GET ${uri} without its permission was ${refused}`);
    }
  },
};

const nonsense: Case = {
  name: 'answers nonsense at each of its routes, and breaks on none',
  applies: ({ declaration }) => declaration.web_routes.length + declaration.api_routes.length > 0,
  async run({ module, declaration }) {
    for (const { uri, method } of [...declaration.web_routes, ...declaration.api_routes]) {
      // Pages as they are shown are the case above.
      if (method === 'get' && !uri.includes('{')) continue;
      const path = uri.replaceAll(/\{\w+\}/g, 'nowhere');
      for (const body of method === 'get' ? [undefined] : [undefined, 'not json', [], { '': null }]) {
        const shown = `${method.toUpperCase()} ${path} with ${JSON.stringify(body) ?? 'nothing'}`;
        const answer = await module
          .request(method, path, body)
          .catch((error: unknown) => Promise.reject(new Error(`${shown} threw ${String(error)}`)));
        must(answer.status < 500, `${shown} was answered with ${answer.status}`);
      }
    }
  },
};

const scheduled: Case = {
  name: 'gets done what it runs by the clock',
  async run({ module }) {
    const { installationId, host } = module.installed;
    const { db } = host.bulkhead.panel;
    const rows = await db
      .selectFrom('schedules')
      .select('method')
      .where('installation_id', '=', installationId)
      .execute();
    for (const { method } of rows) {
      const tags = ['kit:conformance'];
      const { id } = await enqueueTask(db, { installationId, method, tags });
      const task = (await module.runTasks()).find(({ uuid }) => uuid === id);
      must(
        task?.status === 'completed',
        `${method}() ended as ${task?.status}: ${JSON.stringify(task?.error)}`,
      );
    }
  },
};

const webhook: Case = {
  name: 'answers a delivery that is not genuine without breaking',
  applies: ({ declaration }) => declaration.own_methods.includes('apiWebhookPost'),
  async run({ module }) {
    for (const body of ['', 'not json', '{"type":"payment_intent.succeeded","data":{}}', '[]', 'null']) {
      const first = await module.webhook('POST', body, { 'content-type': 'application/json' });
      const second = await module.webhook('POST', body, { 'content-type': 'application/json' });
      must(first.status < 500, `the body ${JSON.stringify(body)} was answered with ${first.status}`);
      must(first.status === second.status, `a duplicate of ${JSON.stringify(body)} was answered otherwise`);
    }
  },
};

export const everyType: readonly Case[] = [
  ...readable,
  warnings,
  again,
  update,
  pages,
  nonsense,
  scheduled,
  webhook,
];

const refusals: Case = {
  name: 'is refused nothing where all it asks for is granted',
  async run({ module }) {
    const refused = (await module.logs())
      .filter(({ source, action }) => source === 'host' && action.startsWith('refused: '))
      .map(({ request }) => String(request));
    none(
      'used and not asked for',
      refused.filter((text) => text.includes('add it to permissions')),
    );
  },
};

/** After everything else: what all that left behind. */
export const afterwards: readonly Case[] = [refusals];
