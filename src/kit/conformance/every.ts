/** What holds for a module of any type. */
import { capabilities, type CapabilityName } from '../../../sandbox/contract/capabilities.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { enqueueTask } from '../../jobs/queue.ts';
import type { Case, Subject } from './case.ts';
import { must, none } from './case.ts';

/** How a module's source shows that it uses a capability, where that is not `this.{name}` or `module.{name}`. */
const SIGNS: Partial<Record<string, RegExp>> = {
  http: /\.http\b|\bfetch\(/,
  secrets: /\bsecret\(|\.secrets\b/,
  redirect: /\bredirect\(/,
  tasks: /\.tasks\b|\.schedule\(/,
};

function signOf(name: string): RegExp {
  return (
    SIGNS[name] ??
    new RegExp(`\\b(?:this|module)\\.${name}\\b|\\{[^}]*\\b${name}\\b[^}]*\\} = (?:this|module)\\b`)
  );
}

/** What is used without a word in the source: the base class queues a service's jobs, and a setting's handle comes with the settings. */
function usesByType(name: string, { manifest }: Subject): boolean {
  if (name === 'secrets') return manifest.settings.some(({ type }) => type === 'secret');
  return name === 'tasks' && (manifest.type === 'Product' || manifest.schedule.length > 0);
}

function textOf(files: ReadonlyMap<string, string>): string {
  return [...files.values()].join('\n');
}

function isUsed(name: string, subject: Subject): boolean {
  return usesByType(name, subject) || signOf(name).test(textOf(subject.source));
}

const asked: Case = {
  name: 'asks for what it uses and uses what it asks for',
  async run(subject) {
    const wanted = new Set(subject.manifest.asks.map(({ capability }) => capability));
    const names = Object.keys(capabilities).filter((name) => !capabilities[name as CapabilityName].inherent);
    none(
      'module.json asks for what no file of the module uses',
      names.filter((name) => wanted.has(name) && !isUsed(name, subject)),
    );
    none(
      'the module uses what module.json does not ask for',
      // To a route of its own a module may redirect without asking.
      names.filter(
        (name) =>
          name !== 'redirect' && !wanted.has(name) && !usesByType(name, subject) && isUsed(name, subject),
      ),
    );
  },
};

const languages: Case = {
  name: 'has every text in every language',
  applies: ({ lang }) => lang.size > 0,
  async run({ lang }) {
    const all = new Set([...lang.values()].flatMap((texts) => Object.keys(texts)));
    none(
      'missing texts',
      [...lang].flatMap(([language, texts]) =>
        [...all].filter((key) => !Object.hasOwn(texts, key)).map((key) => `${key} (${language})`),
      ),
    );
  },
};

const keys: Case = {
  name: 'names no text that it lacks',
  async run({ lang, views, source }) {
    const known = new Set([...lang.values()].flatMap((texts) => Object.keys(texts)));
    const named = [
      ...textOf(views).matchAll(/['"]([\w.-]+)['"]\s*\|\s*t\b/g),
      ...textOf(source).matchAll(/\bthis\.t\(\s*['"]([\w.-]+)['"]/g),
    ].map(([, key = '']) => key);
    none(
      'texts that no language has',
      named.filter((key) => !known.has(key)),
    );
  },
};

const templates: Case = {
  name: 'names no template that it lacks',
  async run({ source, views, declaration }) {
    const named = [...textOf(source).matchAll(/\.view\(\s*['"]([\w./-]+)['"]/g)].map(([, name = '']) => name);
    const tabs = declaration.tabs.map(({ template }) => template);
    none(
      'templates that are not in views/',
      [...named, ...tabs].filter((name) => !views.has(`${name.replaceAll('.', '/')}.liquid`)),
    );
  },
};

const jobs: Case = {
  name: 'queues only jobs that it has',
  async run({ source, declaration }) {
    const named = [...textOf(source).matchAll(/\bmethod:\s*['"](\w+)['"]/g)].map(([, name = '']) => name);
    const verbs = new Set(['get', 'post', 'put', 'delete', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD']);
    none(
      'methods that are queued and not there',
      named.filter((name) => !verbs.has(name) && !declaration.methods.includes(name)),
    );
  },
};

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
  asked,
  languages,
  keys,
  templates,
  jobs,
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
