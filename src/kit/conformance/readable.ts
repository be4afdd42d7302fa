/** What can be said of a module by reading its folder, without running it: `module check` says it too, before there is any test. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Liquid } from 'liquidjs';
import * as v from 'valibot';
import { capabilities, type CapabilityName } from '../../../sandbox/contract/capabilities.ts';
import { none } from './case.ts';
import type { Subject } from './case.ts';

export type Folder = Pick<Subject, 'manifest' | 'declaration' | 'source' | 'views' | 'lang'>;

/** A case that needs no running module. */
export interface Readable {
  readonly name: string;
  readonly applies?: (folder: Folder) => boolean;
  readonly run: (folder: Folder) => Promise<void>;
}

function filesBelow(root: string, ending: string, leftOut: readonly string[] = []): Map<string, string> {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file) => [path.relative(root, file).split(path.sep).join('/'), file] as const)
      .filter(([name]) => !leftOut.some((folder) => name.startsWith(`${folder}/`)))
      .map(([name, file]) => [name, readFileSync(file, 'utf8')]),
  );
}

function below(folder: string, name: string, ending: string): Map<string, string> {
  const root = path.join(folder, name);
  return existsSync(root) ? filesBelow(root, ending) : new Map<string, string>();
}

const Texts = v.record(v.string(), v.unknown());

/** The module's own files, test/ left out. */
export function readFolder(folder: string): Pick<Folder, 'source' | 'views' | 'lang'> {
  const lang = [...below(folder, 'lang', '.json')].map(
    ([file, text]) => [file.slice(0, -'.json'.length), v.parse(Texts, JSON.parse(text))] as const,
  );
  return {
    source: filesBelow(folder, '.ts', ['test', 'node_modules']),
    views: below(folder, 'views', '.liquid'),
    lang: new Map(lang),
  };
}

/** How a module's source shows that it uses a capability, where that is not `this.{name}` or `module.{name}`. */
const SIGNS: Partial<Record<string, RegExp>> = {
  http: /\.http\b|\bfetch\(/,
  secrets: /\bsecret\(|\.secrets\b/,
  redirect: /\bredirect\(|\bsingleSignOn\(/,
  tasks: /\.tasks\b|\.schedule\(/,
};

function signOf(name: string): RegExp {
  return (
    SIGNS[name] ??
    new RegExp(`\\b(?:this|module)\\.${name}\\b|\\{[^}]*\\b${name}\\b[^}]*\\} = (?:this|module)\\b`)
  );
}

/** What is used without a word in the source: the base class queues a service's jobs, and a setting's handle comes with the settings. */
function usesByType(name: string, { manifest }: Folder): boolean {
  if (name === 'secrets') return manifest.settings.some(({ type }) => type === 'secret');
  return name === 'tasks' && (manifest.type === 'Product' || manifest.schedule.length > 0);
}

function textOf(files: ReadonlyMap<string, string>): string {
  return [...files.values()].join('\n');
}

function isUsed(name: string, subject: Folder): boolean {
  return usesByType(name, subject) || signOf(name).test(textOf(subject.source));
}

const asked: Readable = {
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

const languages: Readable = {
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

const keys: Readable = {
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

const templates: Readable = {
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

const jobs: Readable = {
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

/** As the sandbox reads them, but with an unknown filter as a mistake: there it is left out in silence. */
const syntax: Readable = {
  name: 'has templates that can be read',
  async run({ views }) {
    const engine = new Liquid({ strictFilters: true });
    for (const filter of ['t', 'asset']) engine.registerFilter(filter, String);
    none(
      'templates that cannot be read',
      [...views].flatMap(([name, text]) => {
        try {
          engine.parse(text, name);
          return [];
        } catch (error) {
          return [
            `views/${name}: ${error instanceof Error ? error.message.replace(/, file:.*?(?=, line)/, '') : ''}`,
          ];
        }
      }),
    );
  },
};

export const readable: readonly Readable[] = [asked, languages, keys, templates, syntax, jobs];
