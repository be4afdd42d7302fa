/** One installed module: overview, settings, its tasks and logs, and what cannot be undone. */
import * as v from 'valibot';
import { Declaration } from '../../../sandbox/contract/declaration.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { hasInstances } from '../../../sandbox/contract/kinds.ts';
import { testAction } from '../care/test-connection.ts';
import type { FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { checkForm, errorsOf, idFrom, readForm, typedValues } from '../forms.ts';
import { readLogs } from '../log-rows.ts';
import { installationOf, need } from '../need.ts';
import { withNote, type Note } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import { readTasks } from '../task-rows.ts';
import { cpuChart, usageByInstallation, usageOf } from '../usage.ts';
import { installationHead } from './installation-head.ts';

type Change = (panel: Panel, installationId: string, accountId: string) => Promise<void>;

const CHANGES: Readonly<Record<string, { change: Change; note: Note; leaves?: boolean }>> = {
  enable: { change: (panel, id, by) => panel.deps.catalog.enable(id, by), note: 'enabled' },
  disable: { change: (panel, id, by) => panel.deps.catalog.disable(id, by), note: 'disabled' },
  unpause: { change: (panel, id, by) => panel.deps.catalog.unpause(id, by), note: 'unpaused' },
  purge: { change: (panel, id, by) => panel.deps.catalog.purge(id, by), note: 'purged' },
  uninstall: {
    change: (panel, id, by) => panel.deps.catalog.uninstall(id, by),
    note: 'uninstalled',
    leaves: true,
  },
};
const Named = v.object({ name: v.optional(v.string(), '') });
const UpdateForm = v.object({ version: v.pipe(v.string(), v.uuid()) });
/** Those that destroy something ask for the module's name. */
const TYPED_OUT = new Set(['purge', 'uninstall']);

export function modulePages(app: AccountApp, panel: Panel): void {
  const { catalog, db } = panel.deps;
  const find = (c: AccountContext) => installationOf(panel, c.get('tenant').id, idFrom(c.req.param('id')));

  app.get('/installations/:id', async (c) => {
    need(c, 'modules.view');
    const installation = await find(c);
    const tenant = c.get('tenant');
    const nowMs = panel.deps.now();
    const [usage, chart, newer] = await Promise.all([
      usageByInstallation(db, tenant.id, nowMs),
      cpuChart(db, {
        tenantId: tenant.id,
        installationId: installation.id,
        timezone: tenant.timezone,
        nowMs,
      }),
      newerVersions(panel, installation.module_id, installation.version_id),
    ]);
    const declared = v.safeParse(v.partial(Declaration), installation.declaration);
    return accountPage(panel, c, 'admin/module-overview', {
      ...installationHead(c, installation, 'overview'),
      usage: usageOf(usage, installation.id),
      chart,
      newer,
      declared: declared.success ? declared.output : {},
      pages: `${c.get('tenantBase')}/admin/modules/${installation.type}/${installation.name}`,
    });
  });

  const settings = async (
    c: AccountContext,
    refused?: { errors: FormErrors; values: Record<string, unknown> },
  ) => {
    need(c, 'modules.manage');
    const installation = await find(c);
    if (hasInstances(installation.type)) return c.redirect(`${homeOf(c, installation.id)}/instances`, 303);
    const form = await catalog.settings(installation.id);
    const shown = refused === undefined ? form : { ...form, values: { ...form.values, ...refused.values } };
    const head = installationHead(c, installation, 'settings');
    const data = {
      ...head,
      form: shown,
      errors: refused?.errors ?? {},
      testAction: testAction(c, installation),
    };
    return accountPage(panel, c, 'admin/module-settings', data, refused === undefined ? 200 : 422);
  };
  app.get('/installations/:id/settings', (c) => settings(c));
  app.post('/installations/:id/settings', async (c) => {
    need(c, 'modules.manage');
    const installation = await find(c);
    const { fields } = await catalog.settings(installation.id);
    const values = typedValues(fields, await readForm(c));
    const accountId = c.get('account').accountId;
    const result = await catalog.saveSettings({ installationId: installation.id, values, accountId });
    if (!result.ok) return settings(c, { errors: result.errors, values });
    const home = `${c.get('tenantBase')}/admin/installations/${installation.id}`;
    return c.redirect(withNote(`${home}/settings`, 'settings-saved'), 303);
  });

  app.get('/installations/:id/tasks', async (c) => {
    need(c, 'tasks.view');
    const installation = await find(c);
    const { rows } = await readTasks(panel, c, { installationId: installation.id });
    return accountPage(panel, c, 'admin/module-tasks', {
      ...installationHead(c, installation, 'tasks'),
      tasks: rows,
    });
  });

  app.get('/installations/:id/logs', async (c) => {
    need(c, 'logs.view');
    const installation = await find(c);
    const { rows } = await readLogs(panel, c, { installationId: installation.id });
    return accountPage(panel, c, 'admin/module-logs', {
      ...installationHead(c, installation, 'logs'),
      logs: rows,
    });
  });

  const danger = async (c: AccountContext, errors: FormErrors = {}) => {
    need(c, 'modules.manage');
    const data = { ...installationHead(c, await find(c), 'danger'), errors };
    return accountPage(panel, c, 'admin/module-danger', data, Object.keys(errors).length === 0 ? 200 : 422);
  };
  app.get('/installations/:id/danger', (c) => danger(c));

  app.post('/installations/:id/update', async (c) => {
    need(c, 'modules.manage');
    const installation = await find(c);
    const form = await checkForm(c, UpdateForm);
    if (!form.ok) throw new HostError('NOT_FOUND', 'There is no such version.');
    const accountId = c.get('account').accountId;
    await catalog.update({ installationId: installation.id, versionId: form.value.version, accountId });
    return c.redirect(withNote(homeOf(c, installation.id), 'updated'), 303);
  });

  app.get('/installations/:id/export', async (c) => {
    need(c, 'modules.manage');
    const installation = await find(c);
    const lines = await catalog.exportData(installation.id);
    const day = new Date(panel.deps.now()).toISOString().slice(0, 10);
    c.header('content-type', 'application/x-ndjson');
    c.header('content-disposition', `attachment; filename="${installation.name}-${day}.ndjson"`);
    return c.body(ReadableStream.from(lines).pipeThrough(new TextEncoderStream()));
  });

  app.post('/installations/:id/:change{enable|disable|unpause|purge|uninstall}', async (c) => {
    need(c, 'modules.manage');
    const installation = await find(c);
    const name = c.req.param('change');
    const known = CHANGES[name];
    if (known === undefined) throw new HostError('NOT_FOUND', 'There is no such action.');
    const form = await checkForm(c, Named);
    if (TYPED_OUT.has(name) && (!form.ok || form.value.name !== installation.name))
      return danger(c, { [name]: [`Type ${installation.name} to confirm.`] });
    try {
      await known.change(panel, installation.id, c.get('account').accountId);
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return danger(c, errors);
    }
    const to = known.leaves === true ? `${c.get('tenantBase')}/admin/modules` : homeOf(c, installation.id);
    return c.redirect(withNote(to, known.note), 303);
  });
}

function homeOf(c: AccountContext, installationId: string): string {
  return `${c.get('tenantBase')}/admin/installations/${installationId}`;
}

/** Published versions of the module that came after the one in place. */
async function newerVersions(panel: Panel, moduleId: string, versionId: string) {
  return panel.deps.db
    .selectFrom('module_versions')
    .select(['id', 'version', 'published_at'])
    .where('module_id', '=', moduleId)
    .where('status', '=', 'published')
    .where('published_at', '>', (query) =>
      query
        .selectFrom('module_versions as present')
        .select('present.published_at')
        .where('present.id', '=', versionId),
    )
    .orderBy('published_at', 'desc')
    .limit(5)
    .execute();
}
