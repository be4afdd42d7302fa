/** The module's admin pages: the dashboard with its charts, and the checks. */
import { Controller, json, redirect, type IncomingRequest, type Reply } from 'bulkhead';
import { CHECK_TYPES, type Check, type CheckConfig, type Tables } from '../models/tables.ts';
import { Probe } from '../services/Probe.ts';
import { Results } from '../services/Results.ts';
import { CheckRules } from '../services/rules.ts';

const MANAGE = 'Plugin-ServerMonitoring-monitoring-manage';
const NEW_CHECK = {
  name: '',
  type: 'http',
  target: '',
  interval: '60',
  port: '',
  timeout: '',
  expected_status: '',
  service_uuid: '',
};

/** Without what was left empty. */
function configOf(data: Record<string, unknown>): CheckConfig {
  const keys = ['port', 'timeout', 'expected_status', 'service_uuid'];
  return Object.fromEntries(
    Object.entries(data).filter(([key, value]) => keys.includes(key) && value !== undefined),
  );
}

export default class ServerMonitoringController extends Controller<Tables> {
  async dashboard(): Promise<string> {
    const results = new Results(this.db);
    const [checks, standings] = await Promise.all([this.all(), results.standings()]);
    const rows = await Promise.all(
      checks.map(async (check) => {
        const standing = standings.find(({ check_id }) => check_id === check.id);
        const last = await results.last(check.id);
        return {
          ...check,
          last,
          uptime: standing === undefined ? null : Math.round((standing.ups / standing.checks) * 1_000) / 10,
          average: standing?.average == null ? null : Math.round(standing.average),
        };
      }),
    );
    const active = rows.filter((row) => row.active && row.last !== undefined);
    return this.view('admin_area.dashboard', {
      checks: rows,
      up: active.filter((row) => row.last?.status === true).length,
      down: active.filter((row) => row.last?.status === false).length,
    });
  }

  /** What the dashboard's script draws. */
  async series(): Promise<Reply> {
    const results = new Results(this.db);
    const checks = (await this.all()).filter(({ active }) => active);
    const data = await Promise.all(
      checks.map(async ({ id, name }) => ({ id, name, points: await results.points(id) })),
    );
    return json({ success: true, data });
  }

  async checks(): Promise<string> {
    return this.listed(NEW_CHECK, {});
  }

  async addCheck(request: IncomingRequest): Promise<string | Reply> {
    const given = { ...NEW_CHECK, ...request.all() };
    const checked = this.validate(CheckRules, given);
    if (checked.status === 'error') return this.listed(given, checked.errors);
    const { name, type, target, interval } = checked.data;
    const check = { name, type, target, interval, config: configOf(checked.data) };
    try {
      await new Probe(this.http, this.net).permitted(check);
    } catch (error) {
      return this.listed(given, { target: [error instanceof Error ? error.message : String(error)] });
    }
    await this.db.insertInto('monitoring_checks').values(check).execute();
    this.logInfo('addCheck', check);
    return redirect('checks');
  }

  async toggleCheck(request: IncomingRequest): Promise<Reply> {
    await this.db
      .updateTable('monitoring_checks')
      .set((row) => ({ active: row.not('active'), updated_at: this.now() }))
      .where('id', '=', this.idOf(request))
      .execute();
    return redirect('checks');
  }

  async deleteCheck(request: IncomingRequest): Promise<Reply> {
    await this.db.deleteFrom('monitoring_checks').where('id', '=', this.idOf(request)).execute();
    return redirect('checks');
  }

  private idOf(request: IncomingRequest): number {
    const id = Number(request.params['id']);
    return Number.isSafeInteger(id) ? id : 0;
  }

  private async all(): Promise<Check[]> {
    return this.db.selectFrom('monitoring_checks').selectAll().orderBy('name').execute();
  }

  private async listed(form: Record<string, unknown>, errors: Record<string, string[]>): Promise<string> {
    const probe = new Probe(this.http, this.net);
    const checks = await Promise.all(
      (await this.all()).map(async (check) => ({ ...check, host: await probe.permitted(check) })),
    );
    return this.view('admin_area.checks', {
      checks,
      form,
      errors,
      types: CHECK_TYPES,
      waiting: checks.filter(({ host }) => host === 'asked').length,
      may_manage: this.auth?.hasPermission(MANAGE) ?? false,
    });
  }
}
