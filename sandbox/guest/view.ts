/**
 * Views: the module's own Liquid templates, rendered inside the isolate, where a template that loops or eats memory costs only its own
 * invocation. Output is escaped by default. One engine an isolate; it holds templates and nothing of any caller.
 */
import { Liquid, type Template } from 'liquidjs';
import { LIMITS } from '../contract/limits.ts';

/** What the host put beside the code: templates by path ('client_area/general.liquid') and translations by locale. */
export interface Resources {
  readonly views: Readonly<Record<string, string>>;
  readonly lang: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface ViewScope {
  readonly locale: string;
  /** Where the module's assets are served, ending in '/'. */
  readonly assetBase: string;
}

/** 'client_area.general' → 'client_area/general.liquid' (contract A02). */
export function templatePath(name: string): string {
  return name.endsWith('.liquid') ? name : `${name.replaceAll('.', '/')}.liquid`;
}

export type Render = (template: string, data: Readonly<Record<string, unknown>>, scope: ViewScope) => string;

/** The text for a key in a locale, then in English, then the key itself; `{name}` is replaced from values. */
export function translate(
  lang: Resources['lang'],
  locale: string,
  key: string,
  values: Readonly<Record<string, unknown>> = {},
): string {
  const text = lang[locale]?.[key] ?? lang['en']?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (match, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : match,
  );
}

/** A module that shows nothing pays for no engine: it is made when the first template is rendered, in a world that is hardened by then. */
export function createViews(resources: Resources): Render {
  let made: Render | undefined;
  return (name, data, scope) => (made ??= createEngine(resources))(name, data, scope);
}

function createEngine(resources: Resources): Render {
  const engine = new Liquid({
    templates: { ...resources.views },
    outputEscape: 'escape',
    ownPropertyOnly: true,
    renderLimit: LIMITS.viewMs,
    memoryLimit: 20_000_000,
    relativeReference: false,
    extname: '.liquid',
  });
  const scopes: ViewScope[] = [];
  const current = (): ViewScope => scopes.at(-1) ?? { locale: 'en', assetBase: '' };
  engine.registerFilter('t', (key: unknown, ...pairs: unknown[]) => {
    const values = Object.fromEntries(
      pairs.filter((pair): pair is [string, unknown] => Array.isArray(pair) && typeof pair[0] === 'string'),
    );
    return translate(resources.lang, current().locale, String(key), values);
  });
  engine.registerFilter('asset', (path: unknown) => current().assetBase + String(path));
  const parsed = new Map<string, Template[]>();

  return (name, data, scope) => {
    const path = templatePath(name);
    const source = Object.hasOwn(resources.views, path) ? resources.views[path] : undefined;
    if (source === undefined)
      throw new Error(`view "${name}" does not exist: views/${path} is not in the package`);
    scopes.push(scope);
    try {
      let template = parsed.get(path);
      if (template === undefined) {
        template = engine.parse(source, path);
        parsed.set(path, template);
      }
      return String(engine.renderSync(template, data));
    } catch (error) {
      // The engine's own errors hold parts of the parsed template, which the next invocation uses too.
      // oxlint-disable-next-line eslint/preserve-caught-error -- the cause is what must not get out
      throw new Error(error instanceof Error ? String(error.message) : `view "${name}" failed`);
    } finally {
      scopes.pop();
    }
  };
}
