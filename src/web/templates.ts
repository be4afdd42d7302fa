/**
 * The panel's own templates, read once at start and rendered on the host. They are ours; a module's templates never come here (they
 * are rendered inside its isolate). Every output is escaped; the few filters that return HTML escape what they are given.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { Liquid } from 'liquidjs';
import { filters, type Reading } from './filters.ts';

const ROOT = new URL('.', import.meta.url);
const EXTENSION = '.liquid';

function readTemplates(): Record<string, string> {
  const names = readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith(EXTENSION),
  );
  return Object.fromEntries(
    names.map((name) => [
      name.slice(0, -EXTENSION.length).replaceAll('\\', '/'),
      readFileSync(new URL(name, ROOT), 'utf8'),
    ]),
  );
}

export interface Templates {
  /**
   * @param name path below src/web without its ending: 'admin/dashboard'
   * @param reading language and formats; seen in every part (`lang`), also those that `render` gives a scope of their own
   */
  render(name: string, data: object, reading: Reading): Promise<string>;
}

/** @param asset a static file's name → its URL */
export function loadTemplates(asset: (name: string) => string): Templates {
  const engine = new Liquid({
    templates: readTemplates(),
    outputEscape: 'escape',
    strictFilters: true,
    jsTruthy: true,
    ownPropertyOnly: true,
    relativeReference: false,
    cache: true,
  });
  engine.registerFilter('asset', asset);
  for (const [name, filter] of Object.entries(filters)) engine.registerFilter(name, filter);
  return {
    render: async (name, data, reading) => {
      const html: unknown = await engine.renderFile(name, data, { globals: { ...reading } });
      return String(html);
    },
  };
}
