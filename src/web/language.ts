/**
 * The language of a request, known better the further it comes: first by the browser, then by the tenant, then by the account. A person
 * switches it in the menu (or at the foot of the sign-in), which keeps a cookie and, once signed in, the choice with the account.
 */
import type { Context, Hono } from 'hono';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { readLanguageCookie, writeLanguageCookie } from './cookies.ts';
import type { RootEnv } from './env.ts';
import { isLanguage, languageFor, languageOf } from './lang/languages.ts';
import { translators } from './lang/texts.ts';
import type { Panel } from './panel.ts';

/** Sets what the request is answered in, by all that is known so far. */
export function setLanguage<E extends RootEnv>(
  c: Context<E>,
  known: { readonly tenantLocale?: string; readonly accountLocale?: string | null } = {},
): void {
  const lang = languageFor({
    chosen: languageOf(known.accountLocale) ?? readLanguageCookie(c),
    tenantLocale: known.tenantLocale,
    acceptLanguage: () => c.req.header('accept-language'),
  });
  c.set('lang', lang);
  c.set('t', translators[lang]);
}

/** `GET /language/pl?from=/t/acme/sign-in`: for whoever is not signed in. Nothing but the look of pages depends on it. */
export function languageSwitch(app: Hono<RootEnv>, panel: Panel): void {
  app.get('/language/:lang', (c) => {
    const lang = c.req.param('lang');
    if (!isLanguage(lang)) throw new HostError('NOT_FOUND', 'There is no such page.');
    writeLanguageCookie(c, lang, panel.site);
    return c.redirect(ownPath(c.req.query('from') ?? '', panel.site.base), 303);
  });
}

/** A path of this panel, or its start: a link to the switch must not lead to another site. */
export function ownPath(path: string, base: string): string {
  const start = base === '' ? '/' : base;
  const url = URL.parse(path, 'http://x.invalid');
  const inside =
    path.startsWith('/') &&
    url?.host === 'x.invalid' &&
    !url.pathname.startsWith('//') &&
    (url.pathname === base || url.pathname.startsWith(`${base}/`));
  return inside ? url.pathname + url.search : start;
}
