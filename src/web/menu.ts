/** The sidebars. An entry an account lacks the permission for is not shown (the page itself refuses as well). */
import { sql, type Kysely } from 'kysely';
import * as v from 'valibot';
import { Declaration } from '../../sandbox/contract/declaration.ts';
import { hasPermission, modulePermission, type PanelPermission } from '../auth/permissions.ts';
import type { SignedIn } from '../auth/sessions.ts';
import type { Tables } from '../database/tables.ts';
import type { TextKey, Translate } from './lang/texts.ts';
import { uriMatches } from './module/route.ts';

export interface MenuEntry {
  readonly title: string;
  readonly href: string;
  readonly icon: string;
  readonly active: boolean;
  readonly count?: number;
  readonly countTone?: string;
  /** Entries of modules stand under a heading of their own. */
  readonly heading?: string;
}

interface Item {
  readonly title: TextKey;
  readonly path: string;
  readonly icon: string;
  readonly permission?: PanelPermission;
}

const ADMIN: readonly Item[] = [
  { title: 'menu.dashboard', path: '', icon: 'fas fa-gauge' },
  { title: 'menu.services', path: '/services', icon: 'fas fa-server', permission: 'services.view' },
  { title: 'menu.clients', path: '/clients', icon: 'fas fa-users', permission: 'clients.manage' },
  { title: 'menu.invoices', path: '/invoices', icon: 'fas fa-file-invoice', permission: 'billing.view' },
  { title: 'menu.products', path: '/products', icon: 'fas fa-box-open', permission: 'products.manage' },
  { title: 'menu.modules', path: '/modules', icon: 'fas fa-puzzle-piece', permission: 'modules.view' },
  { title: 'menu.store', path: '/store', icon: 'fas fa-store', permission: 'modules.manage' },
  {
    title: 'menu.notifications',
    path: '/notifications',
    icon: 'fas fa-bell',
    permission: 'notifications.manage',
  },
  { title: 'menu.tasks', path: '/tasks', icon: 'fas fa-list-check', permission: 'tasks.view' },
  { title: 'menu.schedules', path: '/schedules', icon: 'fas fa-clock', permission: 'tasks.view' },
  { title: 'menu.events', path: '/events', icon: 'fas fa-bolt', permission: 'logs.view' },
  { title: 'menu.logs', path: '/logs', icon: 'fas fa-scroll', permission: 'logs.view' },
  { title: 'menu.settings', path: '/settings', icon: 'fas fa-gear' },
];

/** Pages that stand elsewhere in the address and belong to an entry all the same. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  '/modules': ['/installations'],
  '/invoices': ['/billing'],
};

function isActive(path: string, base: string, item: string): boolean {
  const full = base + item;
  if (item === '') return path === full || path === `${full}/`;
  return path === full || path.startsWith(`${full}/`);
}

const Counts = v.object({ attention: v.number(), failed: v.number() });

async function adminCounts(db: Kysely<Tables>, tenantId: string): Promise<v.InferOutput<typeof Counts>> {
  const { rows } = await sql`
    select
      (select count(*)::int from installations where tenant_id = ${tenantId} and (status in ('restricted', 'error') or paused_at is not null)) as attention,
      (select count(*)::int from tasks where tenant_id = ${tenantId} and status = 'failed' and created_at > now() - interval '24 hours') as failed
  `.execute(db);
  return v.parse(Counts, rows[0]);
}

const Sidebar = v.pick(Declaration, ['sidebar', 'web_routes']);

/** What cannot be decoded is no route of a module, and no reason for a page to fail. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

async function moduleEntries(input: AdminMenu): Promise<MenuEntry[]> {
  const rows = await input.db
    .selectFrom('installations')
    .innerJoin('modules', 'modules.id', 'installations.module_id')
    .innerJoin('module_versions', 'module_versions.id', 'installations.version_id')
    .select(['modules.type', 'modules.name', 'module_versions.declaration'])
    .where('installations.tenant_id', '=', input.tenantId)
    .where('installations.status', 'in', ['active', 'restricted'])
    .orderBy('modules.name')
    .execute();
  return rows.flatMap((row) => {
    const declared = v.safeParse(Sidebar, row.declaration);
    if (!declared.success) return [];
    const prefix = `${input.base}/modules/${row.type}/${row.name}`;
    return declared.output.sidebar
      .filter(
        ({ permission }) =>
          permission === undefined ||
          hasPermission(input.account.permissions, modulePermission(row.type, row.name, permission)),
      )
      .map((entry) => {
        const uriOf = (name: string) => declared.output.web_routes.find((route) => route.name === name)?.uri;
        const uris = [entry.link, ...entry.active_links]
          .map((name) => uriOf(name))
          .filter((uri) => uri !== undefined);
        const here = input.path.startsWith(`${prefix}/`)
          ? decoded(input.path.slice(prefix.length + 1))
          : undefined;
        return {
          title: entry.title,
          href: `${prefix}/${uriOf(entry.link) ?? entry.link}`,
          icon: entry.icon ?? 'fas fa-puzzle-piece',
          active: here !== undefined && uris.some((uri) => uriMatches(uri, here)),
        };
      });
  });
}

export interface AdminMenu {
  readonly db: Kysely<Tables>;
  readonly tenantId: string;
  readonly base: string;
  readonly path: string;
  readonly account: SignedIn;
  readonly t: Translate;
}

export async function adminMenu(input: AdminMenu): Promise<MenuEntry[]> {
  const [counts, modules] = await Promise.all([adminCounts(input.db, input.tenantId), moduleEntries(input)]);
  const badges: Readonly<Record<string, { count: number; countTone: string }>> = {
    '/modules': { count: counts.attention, countTone: 'yellow' },
    '/tasks': { count: counts.failed, countTone: 'red' },
  };
  const own = ADMIN.filter(
    ({ permission }) => permission === undefined || hasPermission(input.account.permissions, permission),
  ).map((item) => ({
    title: input.t(item.title),
    href: `${input.base}${item.path}`,
    icon: item.icon,
    active:
      [item.path, ...(ALSO[item.path] ?? [])].some((path) => isActive(input.path, input.base, path)) &&
      !modules.some((entry) => entry.active),
    ...badges[item.path],
  }));
  return [
    ...own,
    ...modules.map((entry, index) => (index === 0 ? { ...entry, heading: input.t('menu.modules') } : entry)),
  ];
}

export function clientMenu(t: Translate, base: string, path: string): MenuEntry[] {
  const entry = (title: TextKey, item: string, icon: string): MenuEntry => ({
    title: t(title),
    href: base + item,
    icon,
    active: isActive(path, base, item),
  });
  return [
    entry('menu.my_services', '/services', 'fas fa-server'),
    entry('menu.invoices', '/invoices', 'fas fa-file-invoice'),
    entry('menu.order', '/order', 'fas fa-cart-shopping'),
    entry('menu.profile', '/profile', 'fas fa-user'),
  ];
}

export function operatorMenu(t: Translate, base: string, path: string): MenuEntry[] {
  const entry = (title: TextKey, item: string, icon: string): MenuEntry => ({
    title: t(title),
    href: base + item,
    icon,
    active: isActive(path, base, item),
  });
  return [
    entry('menu.tenants', '/tenants', 'fas fa-building'),
    entry('menu.packages', '/packages', 'fas fa-box'),
    entry('menu.stores', '/stores', 'fas fa-store'),
    entry('menu.runners', '/runners', 'fas fa-microchip'),
    entry('menu.profile', '/profile', 'fas fa-user'),
  ];
}
