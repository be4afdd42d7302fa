/**
 * Mistakes that authors make, each in a module that was right before, and what they are told: it names the file or the name that is
 * wrong and what to write instead. `module check` says all of it; `pack`, `dev`, `test` and a store say the same words.
 */
import { appendFile, cp, mkdtemp, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { checkModule } from '../../src/cli/commands/module-check.ts';
import { newModule } from '../../src/cli/commands/module-new.ts';
import { useSandbox } from '../support/sandbox.ts';

const ENTRY = 'Shop.ts';
const CONTROLLER = 'controllers/ShopController.ts';
const { sandbox } = useSandbox();
let root = '';
let right = '';

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'bulkhead-mistakes-'));
  right = await newModule('Plugin/Shop', path.join(root, 'right'), () => undefined);
});
afterAll(() => rm(root, { recursive: true, force: true }));

type Edit = (folder: string) => Promise<void>;

/** The text must be there: an edit that changes nothing would show nothing. */
const replace =
  (file: string, from: string, to: string): Edit =>
  async (folder) => {
    const text = await readFile(path.join(folder, file), 'utf8');
    expect(text).toContain(from);
    await writeFile(path.join(folder, file), text.replaceAll(from, to));
  };
const manifest =
  (keys: object): Edit =>
  async (folder) => {
    const file = path.join(folder, 'module.json');
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...keys }));
  };
const atTop =
  (line: string): Edit =>
  async (folder) => {
    const file = path.join(folder, ENTRY);
    await writeFile(file, `${line}\n${await readFile(file, 'utf8')}`);
  };
const member = (text: string): Edit =>
  replace(ENTRY, '  override async activate', `  ${text}\n  override async activate`);

const TABLE: readonly (readonly [mistake: string, edit: Edit, told: string])[] = [
  ['no module.json', (folder) => unlink(path.join(folder, 'module.json')), 'module.json.'],
  [
    'module.json with a comma too many',
    replace('module.json', '"config": {},', '"config": {},,'),
    'module.json is not JSON: SyntaxError: Expected double-quoted property name in JSON at position 512 (line 18 column 16)',
  ],
  [
    'an unknown key in module.json',
    manifest({ permisions: {} }),
    'module.json: unknown key "permisions". Did you mean "permissions"?',
  ],
  [
    'an unknown capability',
    manifest({ permissions: { htpp: { hosts: ['a.example'] } } }),
    'permissions: unknown key "htpp". Did you mean "http"?',
  ],
  [
    'an unknown key of a capability',
    manifest({ permissions: { db: { table: 5 } } }),
    'permissions.db: unknown key "table". Did you mean "tables"?',
  ],
  [
    'a host with a scheme and a path',
    manifest({ permissions: { http: { hosts: ['https://api.example.com/v1'] } } }),
    'permissions.http.hosts[0]: a host is expected: "api.example.com", "*.example.com:8443", "http://10.0.0.5:8080" or "{settings.field}".',
  ],
  [
    'a name that is not StudlyCase',
    manifest({ name: 'my-shop' }),
    'module.json: name: a StudlyCase name such as "MyCloudService" is expected.',
  ],
  [
    'a type that does not exist',
    manifest({ type: 'Plugn' }),
    'module.json: type: one of Product, Plugin, Payment, Notification is expected.',
  ],
  [
    'a version that is none',
    manifest({ version: '1.0' }),
    'module.json: version: a semantic version such as "1.0.0" is expected.',
  ],
  [
    'a host range of tomorrow',
    manifest({ host: '^9' }),
    'Plugin/Shop 1.0.0 wants a host "^9"; this one is 1.0.0. Change "host" in module.json to "^1", or use a newer host.',
  ],
  [
    'a bad cron',
    manifest({ schedule: [{ method: 'addNoteJob', cron: '61 * * * *', title: 'x' }] }),
    'module.json: schedule: "61 * * * *" (addNoteJob) is no time that ever comes.',
  ],
  [
    'a cron that never comes',
    manifest({ schedule: [{ method: 'addNoteJob', cron: '0 0 30 2 *', title: 'x' }] }),
    'module.json: schedule: "0 0 30 2 *" (addNoteJob) is no time that ever comes.',
  ],
  [
    'a schedule of a job that does not exist',
    manifest({ schedule: [{ method: 'cleanJob', cron: '0 3 * * *', title: 'x' }] }),
    'module.json: schedule: "cleanJob" is not a method of Shop that may be run as a job.',
  ],
  [
    'a logo that is not there',
    manifest({ logo: 'views/assets/img/none.png' }),
    'module.json: logo: there is no file “views/assets/img/none.png” in the module',
  ],
  [
    'a field type that does not exist',
    manifest({ settings: [{ key: 'a', type: 'txt', title: 'A' }] }),
    'module.json: settings.0.type: Invalid type: Expected ("text" | "number" | "select" | "switch" | "secret" | "textarea" | "multi-select" | "password") but received "txt".',
  ],
  [
    'another class name',
    replace(ENTRY, 'class Shop ', 'class Shopp '),
    'Shop.ts must export "class Shop" as default; it exports Shopp.',
  ],
  [
    'no default export',
    replace(ENTRY, 'export default class', 'export class'),
    'Shop.ts: has no default export; write “export default class …”',
  ],
  [
    'an entry file of another name',
    (folder) => rm(path.join(folder, ENTRY)),
    'Shop.ts: is missing; the entry file is named exactly like the module, with .ts',
  ],
  [
    'a base class of another type',
    replace(ENTRY, 'Plugin', 'Payment'),
    'Shop.ts: class Shop extends Payment, but module.json says type "Plugin": write "import { Plugin } from \'bulkhead\'" and "class Shop extends Plugin".',
  ],
  [
    'no base class',
    replace(ENTRY, ' extends Plugin<Tables>', ''),
    'Shop.ts: class Shop extends no class of “bulkhead”, but module.json says type "Plugin": write "import { Plugin } from \'bulkhead\'" and "class Shop extends Plugin".',
  ],
  [
    'a syntax error',
    replace(ENTRY, 'return {', 'return {{'),
    'Shop.ts:18:13: Expected identifier but found "{"',
  ],
  [
    'an import of a file that is not there',
    atTop("import './services/none.ts';"),
    'Shop.ts:1:8: there is no file “./services/none.ts”; write its path as it is, with .ts',
  ],
  [
    'an import of a package that is not installed',
    atTop("import 'left-padding';"),
    'Shop.ts:1:8: “left-padding” is not installed; run npm install left-padding beside the module, or leave it out',
  ],
  [
    'a name that bulkhead does not export',
    atTop("import { Databse } from 'bulkhead';\nconsole.log(Databse.x);"),
    "The module could not be read: Cannot read properties of undefined (reading 'x'). A name that is imported and not exported there is undefined: an editor, or tsc --noEmit in the module’s folder, says which.",
  ],
  [
    'a file of Node',
    atTop("import { readFileSync } from 'node:fs';\nreadFileSync('/etc/passwd');"),
    'Shop.ts:1:30: “node:fs” is part of Node, which a sandboxed module does not have; use this.http, this.db, … or web standards',
  ],
  [
    'require',
    atTop("require('fs');"),
    'Shop.ts:1:9: “fs” is part of Node, which a sandboxed module does not have; use this.http, this.db, … or web standards',
  ],
  [
    'process.env',
    atTop('console.log(process.env.HOME);'),
    'The module could not be read: process is not defined. That is part of Node, which a sandboxed module does not have; use this.config(), this.http, … or web standards.',
  ],
  [
    'Buffer',
    atTop("const made = Buffer.from('x');\nvoid made;"),
    'The module could not be read: Buffer is not defined. That is part of Node, which a sandboxed module does not have; use this.config(), this.http, … or web standards.',
  ],
  [
    'top-level await',
    atTop('await Promise.resolve();'),
    'Shop.ts:1:1: a module has no top-level await; move it into a method, such as activate()',
  ],
  [
    'a base class that was not imported',
    replace(ENTRY, "import { Plugin } from 'bulkhead';", ''),
    'The module could not be read: Plugin is not defined. Import it: from ‘bulkhead’, or from a file of your own.',
  ],
  [
    'a call of the host in the constructor',
    member("constructor() { super(); void this.db.selectFrom('notes').selectAll().execute(); }"),
    'db.query: nothing is granted while a module is being read; move this out of the constructor.',
  ],
  [
    'a property declared again',
    member('module_name = "shop";'),
    'Shop.ts:9: the field “module_name” hides the one that the base class sets; write “declare module_name: …” or remove it',
  ],
  [
    'a loop that does not end',
    atTop('for (;;) {}'),
    'The module could not be read: The module ran for 2000 ms without a pause.',
  ],
  ['an error at the top', atTop("throw new Error('not today');"), 'The module could not be read: not today'],
  [
    'a route to a controller that is not there',
    replace(ENTRY, 'ShopController@dashboard', 'PageController@dashboard'),
    'Route "dashboard": there is no controllers/PageController.ts.',
  ],
  [
    'a route to a method that is not there',
    replace(ENTRY, 'ShopController@dashboard', 'ShopController@index'),
    'Route "dashboard": ShopController has no method index().',
  ],
  [
    'a route with a verb of none',
    replace(ENTRY, "method: 'get'", "method: 'fetch' as 'get'"),
    'adminWebRoutes(): 0.method: get, post, put or delete is expected.',
  ],
  [
    'a permission that is not declared',
    replace(ENTRY, "key: 'notes'", "key: 'nots'"),
    'Route "dashboard": the permission "notes" is not in adminPermissions().',
  ],
  [
    'a menu entry without its route',
    replace(ENTRY, "link: 'dashboard'", "link: 'home'"),
    'Menu entry "Shop": there is no route named "home" in adminWebRoutes().',
  ],
  [
    'a controller that is not named so',
    (folder) => cp(path.join(folder, CONTROLLER), path.join(folder, 'controllers/shop.ts')),
    'controllers/shop.ts: is not a controller: name it after its class, like ServerController.ts, or move it to services/',
  ],
  [
    'a template that is not there',
    replace(CONTROLLER, "'admin_area.dashboard'", "'admin_area.dashbord'"),
    'templates that are not in views/: admin_area.dashbord',
  ],
  [
    'a template that is not closed',
    (folder) => appendFile(path.join(folder, 'views/admin_area/dashboard.liquid'), '{% if notes %}'),
    'templates that cannot be read: views/admin_area/dashboard.liquid: tag {% if notes %} not closed, line:12, col:1',
  ],
  [
    'a filter that does not exist',
    (folder) => appendFile(path.join(folder, 'views/admin_area/dashboard.liquid'), '{{ notes | nofilter }}'),
    'templates that cannot be read: views/admin_area/dashboard.liquid: undefined filter: nofilter, line:12, col:1',
  ],
  [
    'a text that no language has',
    replace(CONTROLLER, "'notes.empty'", "'notes.emtpy'"),
    'texts that no language has: notes.emtpy',
  ],
  [
    'a text that one language lacks',
    replace('lang/pl.json', '"notes.queued"', '"notes.queud"'),
    'missing texts: notes.queud (en), notes.queued (pl)',
  ],
  [
    'nested translations',
    (folder) => writeFile(path.join(folder, 'lang/en.json'), '{"notes":{"empty":"x"}}'),
    'the file “lang/en.json” must map keys to texts, without nesting',
  ],
  [
    'a job that does not exist',
    replace(CONTROLLER, "method: 'addNoteJob'", "method: 'addNotesJob'"),
    'methods that are queued and not there: addNotesJob',
  ],
  [
    'a capability used and not asked for',
    manifest({ permissions: { db: { tables: 1, storage_mb: 10 } } }),
    'the module uses what module.json does not ask for: tasks',
  ],
  [
    'a huge picture',
    (folder) => writeFile(path.join(folder, 'views/assets/img/big.png'), Buffer.alloc(5 * 1024 * 1024)),
    'the file “views/assets/img/big.png” is larger than 4194304 bytes',
  ],
  [
    'an asset that is no asset',
    (folder) => writeFile(path.join(folder, 'views/assets/setup.exe'), 'MZ'),
    'the file “views/assets/setup.exe” has no place in a module: views/ holds .liquid templates, views/assets/ styles, scripts, images and fonts',
  ],
  [
    'an event that the manifest does not hear',
    (folder) =>
      writeFile(
        path.join(folder, 'hooks.ts'),
        "import { on } from 'bulkhead';\non('ServiceCreated', () => undefined);\n",
      ),
    'hooks.ts: add "ServiceCreated" to events.listens in module.json.',
  ],
];

it('the module is right before the mistakes', async () => {
  expect(await checkModule(right, () => undefined, sandbox())).toBe(0);
});

it.each(TABLE)('%s is told with what to write instead', async (mistake, edit, told) => {
  const folder = path.join(root, mistake.replaceAll(/\W+/g, '-'));
  await cp(right, folder, { recursive: true });
  await edit(folder);
  const said: string[] = [];
  await checkModule(folder, (text) => said.push(text), sandbox()).catch((error: unknown) => {
    if (!(error instanceof HostError)) throw error;
    said.push(error.message);
  });
  expect(said.join('\n')).toContain(told);
});
