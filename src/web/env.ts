/** What travels with a request through the panel: typed once, read by every page. */
import type { Context, Hono } from 'hono';
import type { SignedIn } from '../auth/sessions.ts';
import type { Lang } from './lang/languages.ts';
import type { Translate } from './lang/texts.ts';

/** The tenant a request belongs to. */
export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly locale: string;
  readonly currency: string;
  readonly timezone: string;
}

export type Area = 'operator' | 'admin' | 'client';

interface Base {
  /** Asked for with requestIdOf(). */
  requestId?: string;
  /** Scheme and host the browser sees: 'https://panel.example.com'. */
  origin: string;
  /** The client's address. */
  address: string;
  /** The response was made by sendComplete(). */
  hasAllHeaders?: true;
  /** The language this request is answered in, and its texts. */
  lang: Lang;
  t: Translate;
}
interface OfTenant extends Base {
  tenant: Tenant;
  /** URL path of the tenant's area: '' on a host of its own, else '/t/acme' below the base path. */
  tenantBase: string;
}

export interface RootEnv {
  Variables: Base;
}
export interface TenantEnv {
  Variables: OfTenant;
}
/** After the session check: who asks. */
export interface AccountEnv {
  Variables: OfTenant & { account: SignedIn; area: 'admin' | 'client' };
}
export interface OperatorEnv {
  Variables: Base & { account: SignedIn };
}

export type AccountContext = Context<AccountEnv>;
export type OperatorContext = Context<OperatorEnv>;
export type AccountApp = Hono<AccountEnv>;
export type OperatorApp = Hono<OperatorEnv>;
