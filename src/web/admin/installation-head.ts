/** What every page of one installation shows above its own part: the module's name, state and tabs. */
import * as v from 'valibot';
import { hasInstances } from '../../../sandbox/contract/kinds.ts';
import type { AccountContext } from '../env.ts';
import type { TextKey } from '../lang/texts.ts';
import { may, type InstallationRow } from '../need.ts';
import type { PageData } from '../panel.ts';

const Shown = v.object({
  title: v.fallback(v.string(), ''),
  description: v.fallback(v.string(), ''),
  icon: v.fallback(v.string(), 'fas fa-puzzle-piece'),
});

export type InstallationTab =
  | 'overview'
  | 'permissions'
  | 'settings'
  | 'instances'
  | 'hosts'
  | 'tasks'
  | 'logs'
  | 'danger';

const TABS: readonly {
  readonly key: InstallationTab;
  readonly title: TextKey;
  readonly icon: string;
  readonly manage: boolean;
}[] = [
  { key: 'overview', title: 'admin.overview', icon: 'fas fa-circle-info', manage: false },
  { key: 'permissions', title: 'admin.permissions', icon: 'fas fa-user-shield', manage: true },
  { key: 'settings', title: 'menu.settings', icon: 'fas fa-sliders', manage: true },
  { key: 'instances', title: 'admin.accounts', icon: 'fas fa-plug', manage: true },
  { key: 'hosts', title: 'events.hosts', icon: 'fas fa-satellite-dish', manage: true },
  { key: 'tasks', title: 'menu.tasks', icon: 'fas fa-list-check', manage: false },
  { key: 'logs', title: 'menu.logs', icon: 'fas fa-scroll', manage: false },
  { key: 'danger', title: 'admin.danger_zone', icon: 'fas fa-triangle-exclamation', manage: true },
];

export function installationHead(
  c: AccountContext,
  installation: InstallationRow,
  tab: InstallationTab,
): PageData {
  const shown = v.parse(Shown, installation.manifest);
  // Where there are several sets of settings, each has a page; else there is one for the whole.
  const without = hasInstances(installation.type) ? 'settings' : 'instances';
  const admin = `${c.get('tenantBase')}/admin`;
  const home = `${admin}/installations/${installation.id}`;
  return {
    title: shown.title === '' ? installation.name : shown.title,
    crumb: { href: `${admin}/modules`, title: c.get('t')('menu.modules') },
    module: { ...installation, ...shown, home },
    tabs: TABS.filter(({ key, manage }) => key !== without && (!manage || may(c, 'modules.manage'))).map(
      ({ key, title, icon }) => ({
        title: c.get('t')(title),
        icon,
        href: key === 'overview' ? home : `${home}/${key}`,
        active: key === tab,
      }),
    ),
  };
}
