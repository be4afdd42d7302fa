/**
 * Reading a version's declaration: the module runs once in a throw-away sandbox, in a process group of its own, without a
 * tenant and without grants, and is asked what it has. What it answers is checked against its kind and against itself, so that a
 * menu entry without a route or a job that does not exist is told at install and not found out later.
 */
import semver from 'semver';
import * as v from 'valibot';
import { Declaration } from '../../sandbox/contract/declaration.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { type InvocationContext, type ModuleCall, splitContext } from '../../sandbox/contract/invocation.ts';
import { isHostCalled, kinds } from '../../sandbox/contract/kinds.ts';
import { Field, Permission, Route, SidebarEntry } from '../../sandbox/contract/kinds/module.ts';
import {
  BUTTON_METHODS,
  OPTIONAL_ACTIONS,
  SERVICE_ACTION_NAMES,
  TabConfig,
} from '../../sandbox/contract/kinds/product.ts';
import { ClientActions, ServiceButtons } from '../../sandbox/contract/kinds/service-care.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { checkHooks } from '../../sandbox/contract/manifest-events.ts';
import { CONTRACT_VERSION, type Manifest } from '../../sandbox/contract/manifest.ts';
import type { Kind } from '../../sandbox/contract/op.ts';
import type { Sandbox } from '../../sandbox/supervisor/sandbox.ts';
import type { ReadPackage } from '../store/package/read.ts';
import { randomBytes } from 'node:crypto';
import type { RunnerIds } from './runner-ids.ts';
import { everComes } from '../schedules/times.ts';
import { loadInputOf } from './versions.ts';

export interface DeclareDeps {
  readonly sandbox: Sandbox;
  readonly runnerIds: RunnerIds;
}

const Described = v.object({
  class_name: v.string(),
  base: v.nullable(v.string()),
  methods: v.array(v.string()),
  own_methods: v.array(v.string()),
  controllers: v.record(v.string(), v.array(v.string())),
  hooks: v.array(v.object({ event: v.string(), priority: v.number() })),
});

const few = <S extends v.GenericSchema>(item: S, most: number) =>
  v.pipe(v.array(item), v.maxLength(most, `at most ${most} are allowed`));

/** What is asked of every module, and where its answer goes. A kind without the method is not asked. */
const QUESTIONS = {
  permissions: { method: 'adminPermissions', schema: few(Permission, LIMITS.declaredPermissions), empty: [] },
  sidebar: { method: 'adminSidebar', schema: few(SidebarEntry, LIMITS.declaredMenuEntries), empty: [] },
  web_routes: { method: 'adminWebRoutes', schema: few(Route, LIMITS.declaredRoutes), empty: [] },
  api_routes: { method: 'adminApiRoutes', schema: few(Route, LIMITS.declaredRoutes), empty: [] },
  tabs: {
    method: 'getClientAreaMenuConfig',
    schema: v.pipe(
      TabConfig,
      v.check(
        (tabs) => Object.keys(tabs).length <= LIMITS.declaredTabs,
        `at most ${LIMITS.declaredTabs} tabs are allowed`,
      ),
      v.transform((tabs) => Object.entries(tabs).map(([key, tab]) => ({ key, ...tab }))),
    ),
    empty: {},
  },
  product_fields: { method: 'productFields', schema: few(Field, LIMITS.declaredFields), empty: [] },
  service_fields: { method: 'serviceFields', schema: few(Field, LIMITS.declaredFields), empty: [] },
  admin_buttons: { method: 'adminButtons', schema: ServiceButtons, empty: [] },
  client_buttons: { method: 'clientButtons', schema: ServiceButtons, empty: [] },
  client_actions: { method: 'clientActions', schema: ClientActions, empty: [] },
} as const;
type Question = keyof typeof QUESTIONS;
const QUESTION_NAMES = Object.keys(QUESTIONS) as readonly Question[];

/** Types whose base class is named like them. */
const OWN_BASES: ReadonlySet<string> = new Set(['Product', 'Plugin', 'Payment', 'Notification']);

/** What the engine says, and what an author does about it. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:process|Buffer|__dirname|__filename|global|setImmediate) is not defined$/,
    'That is part of Node, which a sandboxed module does not have; use this.config(), this.http, … or web standards.',
  ],
  [
    /^(?:window|document|localStorage|navigator) is not defined$/,
    'That is part of a browser; scripts for pages go to views/assets/js/.',
  ],
  [/^\w+ is not defined$/, 'Import it: from ‘bulkhead’, or from a file of your own.'],
  [
    /^Class extends value undefined/,
    'The class it extends was not imported: ‘bulkhead’ has Product, Plugin, Payment, Notification and Controller.',
  ],
  [
    /^Cannot read properties of undefined/,
    'A name that is imported and not exported there is undefined: an editor, or tsc --noEmit in the module’s folder, says which.',
  ],
];

function advised(message: string): string {
  const advice = ADVICE.find(([pattern]) => pattern.test(message))?.[1];
  return advice === undefined ? message : `${message.replace(/\.$/, '')}. ${advice}`;
}

function problem(message: string): HostError {
  return new HostError('BAD_INPUT', message);
}

/** @throws HostError BAD_INPUT naming what the module must mend, or what the sandbox had to stop it for */
export async function readDeclaration(
  deps: DeclareDeps,
  contents: ReadPackage,
  manifest: Manifest,
): Promise<Declaration> {
  if (!semver.satisfies(CONTRACT_VERSION, manifest.host))
    throw problem(
      `${contents.name} ${manifest.version} wants a host "${manifest.host}"; this one is ${CONTRACT_VERSION}. Change "host" in module.json to "^${semver.major(CONTRACT_VERSION)}", or use a newer host.`,
    );
  const kind = kinds[manifest.type];
  if (kind === undefined) throw problem(`There is no module type ${manifest.type}.`);
  const results = await ask(deps, contents, manifest, kind);
  const described = v.safeParse(Described, results.get('describe'));
  if (!described.success) throw problem('The module could not be described.');
  if (described.output.class_name !== manifest.name) {
    throw problem(
      `${manifest.name}.ts must export "class ${manifest.name}" as default; it exports ${described.output.class_name}.`,
    );
  }
  checkBase(described.output.base, manifest);
  const answers = Object.fromEntries(
    QUESTION_NAMES.map((name) => [name, parseAnswer(name, results.get(name))]),
  );
  const { base: _base, ...names } = described.output;
  const draft = { ...names, ...answers, warnings: [] };
  const sizeBytes = Buffer.byteLength(JSON.stringify(draft));
  if (sizeBytes > LIMITS.declarationBytes)
    throw problem(
      `What the module declares takes ${sizeBytes} bytes; ${LIMITS.declarationBytes} are allowed. Shorten its texts and lists.`,
    );
  const declaration = v.parse(Declaration, draft);
  checkRequired(declaration, kind);
  checkHooks(declaration.hooks, manifest.events);
  checkSchedule(declaration, manifest);
  checkFieldDeclarations(declaration, manifest);
  checkRoutes(declaration);
  checkButtons(declaration);
  return { ...declaration, warnings: [...checkTabs(declaration, contents), ...checkJobs(declaration)] };
}

async function ask(
  { sandbox, runnerIds }: DeclareDeps,
  contents: ReadPackage,
  manifest: Manifest,
  kind: Kind,
): Promise<ReadonlyMap<string, unknown>> {
  const asked = QUESTION_NAMES.filter((name) => Object.hasOwn(kind.methods, QUESTIONS[name].method));
  const calls: ModuleCall[] = [
    { target: { on: 'runtime' }, method: 'describe', args: [] },
    ...asked.map((name): ModuleCall => ({
      target: { on: 'module' },
      method: QUESTIONS[name].method,
      args: [],
    })),
  ];
  // A module may swallow its refusal; it is told all the same.
  let refused: HostError | undefined;
  const key = `declare:${contents.sha256}:${randomBytes(4).toString('hex')}`;
  const outcome = await sandbox.invoke({
    group: { key, ...runnerIds.throwAway() },
    module: { key, load: async () => loadInputOf(contents) },
    input: { ...splitContext(emptyContext(manifest)), calls },
    limits: {
      entryMs: LIMITS.entryMs,
      cpuHardMs: LIMITS.requestCpuHardMs,
      callsInFlight: LIMITS.callsInFlight,
      calls: LIMITS.callsPerInvocation,
    },
    wallMs: LIMITS.declareWallMs,
    onCall: async (path) => {
      const text = `${path}: nothing is granted while a module is being read; move this out of the constructor.`;
      refused ??= problem(text);
      throw new HostError('NOT_GRANTED', text);
    },
    onNotify: () => undefined,
  });
  sandbox.end(key);
  if (refused !== undefined) throw refused;
  if (!outcome.envelope.ok) {
    const { code, message } = outcome.envelope.error;
    throw new HostError(
      code === 'MODULE_ERROR' || code === 'LOAD_FAILED' ? 'BAD_INPUT' : code,
      `The module could not be read: ${advised(message)}`,
    );
  }
  const values = outcome.envelope.value.results.map((result) => ('value' in result ? result.value : null));
  return new Map([
    ['describe', values[0]],
    ...asked.map((name, index) => [name, values[index + 1]] as const),
  ]);
}

/** A context in which constructors work: every capability the module asks for is there, and each call of it is refused. */
function emptyContext(manifest: Manifest): InvocationContext {
  return {
    module: { type: manifest.type, name: manifest.name, version: manifest.version },
    capabilities: [...new Set(manifest.asks.map((ask) => ask.capability))],
    config: manifest.config,
    secrets: {},
    tenant: {
      uuid: '00000000-0000-0000-0000-000000000000',
      name: '',
      locale: 'en',
      currency: 'USD',
      timezone: 'UTC',
    },
    auth: null,
    locale: 'en',
    asset_base: '',
    product: null,
    service: null,
    instance: null,
    webhook_url: null,
    pay: null,
    task: null,
    from_version: null,
    now: Date.now(),
    seed: randomBytes(32).toString('base64'),
  };
}

function parseAnswer(name: Question, answer: unknown): unknown {
  const { method, schema, empty } = QUESTIONS[name];
  const parsed = v.safeParse(schema, answer ?? empty);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw problem(`${method}(): ${v.getDotPath(issue) ?? 'its answer'}: ${issue.message}.`);
}

/** A type of one's own has no base class of its own: its modules extend Module. */
function checkBase(base: string | null, { type, name }: Manifest): void {
  const wanted = OWN_BASES.has(type) ? type : 'Module';
  if (base === wanted || (wanted === 'Module' && base !== null)) return;
  const found = base === null ? 'no class of “bulkhead”' : base;
  throw problem(
    `${name}.ts: class ${name} extends ${found}, but module.json says type "${type}": write "import { ${wanted} } from 'bulkhead'" and "class ${name} extends ${wanted}".`,
  );
}

function checkRequired(declaration: Declaration, kind: Kind): void {
  for (const [name, method] of Object.entries(kind.methods)) {
    if (method.required && !declaration.methods.includes(name))
      throw problem(`A ${kind.type} module must have the method ${name}().`);
  }
}

/** What runs again and again must be there, and be no method that only the host calls. */
function checkSchedule(declaration: Declaration, manifest: Manifest): void {
  for (const { method, cron } of manifest.schedule) {
    if (!declaration.methods.includes(method) || isHostCalled(method))
      throw problem(
        `module.json: schedule: "${method}" is not a method of ${manifest.name} that may be run as a job.`,
      );
    if (cron !== undefined && !everComes(cron))
      throw problem(`module.json: schedule: "${cron}" (${method}) is no time that ever comes.`);
  }
}

/**
 * Where a field's choices come from must be there, and be no method that only the host calls. A secret of a product or a service would
 * be one more for each of them, searched for in each answer: those are kept by the module with secrets.put, or are passwords.
 */
function checkFieldDeclarations(declaration: Declaration, manifest: Manifest): void {
  for (const { key, type } of [...declaration.product_fields, ...declaration.service_fields])
    if (type === 'secret')
      throw problem(
        `Field "${key}": a secret belongs to the settings of module.json. For a product or a service use the type "password", or keep it with this.secrets.put(name, value, {hosts}).`,
      );
  const fields = [...manifest.settings, ...declaration.product_fields, ...declaration.service_fields];
  for (const { key, options_from: method } of fields)
    if (method !== undefined && (!declaration.methods.includes(method) || isHostCalled(method)))
      throw problem(
        `Field "${key}": options_from: "${method}" is not a method of ${manifest.name} that may give its choices.`,
      );
}

function checkRoutes(declaration: Declaration): void {
  const keys = new Set(declaration.permissions.map((permission) => permission.key));
  const names = new Set(declaration.web_routes.map((route) => route.name));
  for (const route of [...declaration.web_routes, ...declaration.api_routes]) {
    const [controller = '', method = ''] = route.controller.split('@');
    if (!keys.has(route.permission))
      throw problem(
        `Route "${route.name}": the permission "${route.permission}" is not in adminPermissions().`,
      );
    const methods = Object.hasOwn(declaration.controllers, controller)
      ? declaration.controllers[controller]
      : undefined;
    if (methods === undefined)
      throw problem(`Route "${route.name}": there is no controllers/${controller}.ts.`);
    if (!methods.includes(method))
      throw problem(`Route "${route.name}": ${controller} has no method ${method}().`);
  }
  for (const entry of declaration.sidebar) {
    if (!names.has(entry.link))
      throw problem(
        `Menu entry "${entry.title}": there is no route named "${entry.link}" in adminWebRoutes().`,
      );
    if (entry.permission !== undefined && !keys.has(entry.permission))
      throw problem(
        `Menu entry "${entry.title}": the permission "${entry.permission}" is not in adminPermissions().`,
      );
  }
}

/** A button that would do nothing, or that nobody could press, is a mistake; so is an offer without what is offered. */
function checkButtons(declaration: Declaration): void {
  const { admin_buttons: admin, client_buttons: client, methods } = declaration;
  const permissions = new Set(declaration.permissions.map(({ key }) => key));
  for (const [who, buttons] of Object.entries({ admin, client } as const))
    for (const { key } of buttons) {
      const method = `${who === 'admin' ? BUTTON_METHODS.admin : BUTTON_METHODS.client}${key}`;
      if (!methods.includes(method))
        throw problem(`${who}Buttons(): "${key}": there is no method ${method}().`);
    }
  for (const { key, permission } of admin)
    if (permission !== undefined && !permissions.has(permission))
      throw problem(`adminButtons(): "${key}": the permission "${permission}" is not in adminPermissions().`);
  for (const { key, permission } of client)
    if (permission !== undefined)
      throw problem(`clientButtons(): "${key}": clients have no permissions; leave "${permission}" out.`);
  for (const action of declaration.client_actions)
    if (!methods.includes(action)) throw problem(`clientActions(): there is no method ${action}().`);
}

function checkTabs(declaration: Declaration, contents: ReadPackage): string[] {
  const warnings: string[] = [];
  for (const tab of declaration.tabs) {
    const path = `${tab.template.replaceAll('.', '/')}.liquid`;
    if (!Object.hasOwn(contents.views, path))
      throw problem(`Tab "${tab.key}": views/${path} is not in the package.`);
    if (!declaration.methods.includes(`variables_${tab.key}`))
      warnings.push(`Tab "${tab.key}" has no variables_${tab.key}(); its template gets no data.`);
  }
  return warnings;
}

/** The default of an action queues its job; without the job, pressing the button would fail later. */
function checkJobs(declaration: Declaration): string[] {
  if (!declaration.methods.includes('create')) return [];
  return SERVICE_ACTION_NAMES.filter(
    (action) =>
      !OPTIONAL_ACTIONS.has(action) &&
      !declaration.own_methods.includes(action) &&
      !declaration.methods.includes(`${action}Job`),
  ).map((action) => `There is no ${action}Job(); “${action}” is not offered for this module’s services.`);
}
