/** What every page is given: the host's use cases, the site, and a way to answer with a page. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import * as v from 'valibot';
import type { SignedIn } from '../auth/sessions.ts';
import type { Said } from '../care/care.ts';
import type { WebDeps } from './deps.ts';
import type { AccountContext, OperatorContext, RootEnv, Tenant } from './env.ts';
import { type AnswerHeaders, panelPolicy } from './headers.ts';
import { formatsFor } from './lang/languages.ts';
import { LANGUAGE_CHOICES, scriptWords } from './lang/texts.ts';
import { noteOf } from './notes.ts';
import { adminMenu, clientMenu, operatorMenu, type MenuEntry } from './menu.ts';
import type { PayPages } from './client/pay-pages.ts';
import type { Site } from './site.ts';
import type { StaticFiles } from './static-files.ts';
import type { Templates } from './templates.ts';

const ActionId = v.pipe(v.string(), v.uuid());

export interface Panel {
  readonly deps: WebDeps;
  readonly site: Site;
  readonly files: StaticFiles;
  readonly templates: Templates;
  readonly payPages: PayPages;
  /** For sendComplete(): of answers that are data for our own scripts. */
  readonly dataHeaders: AnswerHeaders;
}

/** What a page says of itself beside its data. */
export interface PageData {
  readonly title: string;
  readonly [key: string]: unknown;
}

interface Shell {
  readonly brand: string;
  readonly brandIcon: string;
  readonly home: string;
  /** URL prefix of the area's links. */
  readonly base: string;
  readonly menu: readonly MenuEntry[];
  readonly account?: SignedIn;
  readonly tenant?: Tenant;
  readonly signOut?: string;
  readonly profile?: string;
}

async function answer<E extends RootEnv>(
  panel: Panel,
  c: Context<E>,
  template: string,
  data: PageData,
  shell: Shell,
  status: ContentfulStatusCode,
): Promise<Response> {
  const lang = c.get('lang');
  const page = {
    ...data,
    shell,
    base: shell.base,
    csrf: shell.account?.csrfToken,
    currency: shell.tenant?.currency ?? 'USD',
    locale: shell.tenant?.locale ?? 'en',
    timezone: shell.tenant?.timezone ?? 'UTC',
    now: panel.deps.now(),
    note: noteOf(lang, c.req.query('note')),
    root: panel.site.base,
    languages: LANGUAGE_CHOICES,
    here: panel.site.seenPath(new URL(c.req.url)) + new URL(c.req.url).search,
    words: JSON.stringify(scriptWords(lang)),
  };
  const reading = { lang, formats: formatsFor(lang, shell.tenant?.locale) };
  return c.html(await panel.templates.render(template, page, reading), status);
}

/** Answers with a page of the tenant's admin or client area. */
export async function accountPage(
  panel: Panel,
  c: AccountContext,
  template: string,
  data: PageData,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  const tenant = c.get('tenant');
  const account = c.get('account');
  const tenantBase = c.get('tenantBase');
  const admin = c.get('area') === 'admin';
  const base = admin ? `${tenantBase}/admin` : tenantBase;
  c.header('Content-Security-Policy', panelPolicy(`${c.get('origin')}${tenantBase}/m/`));
  const said = await saidOf(panel, c);
  const menu = admin
    ? await adminMenu({
        db: panel.deps.db,
        tenantId: tenant.id,
        base,
        path: panel.site.seenPath(new URL(c.req.url)),
        account,
        t: c.get('t'),
      })
    : clientMenu(c.get('t'), base, panel.site.seenPath(new URL(c.req.url)));
  return answer(
    panel,
    c,
    template,
    said === undefined ? data : { ...data, said },
    {
      brand: tenant.name,
      brandIcon: 'fas fa-cubes',
      home: base === '' ? '/' : base,
      base,
      menu,
      account,
      tenant,
      signOut: `${base}/sign-out`,
      profile: `${base}/profile`,
    },
    status,
  );
}

/** What the action that led to this page said: for whoever did it, by its id. */
async function saidOf(panel: Panel, c: AccountContext): Promise<Said | undefined> {
  const id = v.safeParse(ActionId, c.req.query('did'));
  if (!id.success) return undefined;
  const { accountId } = c.get('account');
  return panel.deps.care.said({ tenantId: c.get('tenant').id, actionId: id.output, accountId });
}

/** Answers with a page of the operator's area. */
export async function operatorPage(
  panel: Panel,
  c: OperatorContext,
  template: string,
  data: PageData,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  const base = `${panel.site.base}/operator`;
  return answer(
    panel,
    c,
    template,
    data,
    {
      brand: 'Bulkhead',
      brandIcon: 'fas fa-shield-halved',
      home: base,
      base,
      menu: operatorMenu(c.get('t'), base, panel.site.seenPath(new URL(c.req.url))),
      account: c.get('account'),
      signOut: `${base}/sign-out`,
      profile: `${base}/profile`,
    },
    status,
  );
}

/** Answers with a page that needs nobody signed in: sign-in, errors. */
export async function plainPage<E extends RootEnv>(
  panel: Panel,
  c: Context<E>,
  template: string,
  data: PageData,
  status: ContentfulStatusCode = 200,
): Promise<Response> {
  const home = panel.site.base === '' ? '/' : panel.site.base;
  return answer(
    panel,
    c,
    template,
    data,
    { brand: 'Bulkhead', brandIcon: 'fas fa-shield-halved', home, base: panel.site.base, menu: [] },
    status,
  );
}

/** A fragment of an admin or client page, for live parts. */
export async function fragment(
  panel: Panel,
  c: AccountContext,
  template: string,
  data: object,
): Promise<Response> {
  const tenant = c.get('tenant');
  const base = c.get('area') === 'admin' ? `${c.get('tenantBase')}/admin` : c.get('tenantBase');
  const lang = c.get('lang');
  const page = {
    ...data,
    base,
    csrf: c.get('account').csrfToken,
    currency: tenant.currency,
    locale: tenant.locale,
    timezone: tenant.timezone,
    now: panel.deps.now(),
  };
  return c.html(
    await panel.templates.render(template, page, { lang, formats: formatsFor(lang, tenant.locale) }),
  );
}
