/**
 * Watches servers: ping, http and port checks by schedule, their results on a dashboard. The README says what of this is the module guide's
 * example and what was added to it.
 */
import { Plugin, type ActionAnswer, type Permission, type Route, type SidebarEntry } from 'bulkhead';
import type { Check, Tables } from './models/tables.ts';
import { Probe } from './services/Probe.ts';
import { Results } from './services/Results.ts';
import { createTables } from './services/schema.ts';

/** How often due checks are looked for; no check can be run more often. */
const LOOK_SECONDS = 30;
/** Checks that wait for their servers at once. */
const AT_ONCE = 5;
const MESSAGE_CHARACTERS = 255;

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_CHARACTERS);
}

export default class ServerMonitoring extends Plugin<Tables> {
  override async activate(): Promise<string> {
    try {
      await createTables(this.db);
      await this.scheduleMonitoringJob();
      this.logInfo('activate', 'Monitoring plugin activated successfully');
      return 'success';
    } catch (error) {
      return `Error: ${messageOf(error)}`;
    }
  }

  override adminPermissions(): Permission[] {
    return [
      {
        name: this.t('permission.dashboard'),
        key: 'monitoring-dashboard',
        description: this.t('permission.dashboard_hint'),
      },
      {
        name: this.t('permission.checks'),
        key: 'monitoring-checks',
        description: this.t('permission.checks_hint'),
      },
      {
        name: this.t('permission.manage'),
        key: 'monitoring-manage',
        description: this.t('permission.manage_hint'),
      },
    ];
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      {
        title: this.t('menu.monitoring'),
        link: 'dashboard',
        active_links: ['dashboard', 'checks'],
        permission: 'monitoring-dashboard',
        icon: 'fas fa-heart-pulse',
      },
    ];
  }

  override adminWebRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'dashboard',
        permission: 'monitoring-dashboard',
        name: 'dashboard',
        controller: 'ServerMonitoringController@dashboard',
      },
      {
        method: 'get',
        uri: 'checks',
        permission: 'monitoring-checks',
        name: 'checks',
        controller: 'ServerMonitoringController@checks',
      },
      {
        method: 'post',
        uri: 'checks',
        permission: 'monitoring-manage',
        name: 'checks-add',
        controller: 'ServerMonitoringController@addCheck',
      },
      {
        method: 'post',
        uri: 'checks/{id}/toggle',
        permission: 'monitoring-manage',
        name: 'checks-toggle',
        controller: 'ServerMonitoringController@toggleCheck',
      },
      {
        method: 'post',
        uri: 'checks/{id}/delete',
        permission: 'monitoring-manage',
        name: 'checks-delete',
        controller: 'ServerMonitoringController@deleteCheck',
      },
    ];
  }

  override adminApiRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'series',
        permission: 'monitoring-dashboard',
        name: 'series',
        controller: 'ServerMonitoringController@series',
      },
    ];
  }

  /** The guide's recurring task: its tags, tries and times. */
  private async scheduleMonitoringJob(): Promise<void> {
    await this.schedule({
      method: 'runChecks',
      title: this.t('schedule.title'),
      every: LOOK_SECONDS,
      tags: ['monitoring', 'recurring'],
      tries: 2,
      backoff: 60,
      timeout: 300,
      maxExceptions: 1,
    });
  }

  async runChecks(): Promise<ActionAnswer> {
    const results = new Results(this.db);
    const checks = await results.due();
    for (let from = 0; from < checks.length; from += AT_ONCE)
      await Promise.all(checks.slice(from, from + AT_ONCE).map((check) => this.executeCheck(check, results)));
    await results.clean();
    return { status: 'success' };
  }

  private async executeCheck(check: Check, results: Results): Promise<void> {
    const probe = new Probe(this.http, this.net);
    // A server that nobody has confirmed is not down: nothing is known of it.
    if ((await probe.permitted(check)) !== 'confirmed') return;
    const startTime = performance.now();
    let success = false;
    let errorMessage: string | null = null;
    try {
      switch (check.type) {
        case 'ping':
          success = await probe.pingCheck(check.target, check.config);
          break;
        case 'http':
          success = await probe.httpCheck(check.target, check.config);
          break;
        case 'port':
          success = await probe.portCheck(check.target, check.config);
          break;
      }
    } catch (error) {
      errorMessage = messageOf(error);
    }
    const responseTime = Math.round(performance.now() - startTime);
    const before = await results.last(check.id);
    await this.db
      .insertInto('monitoring_results')
      .values({
        check_id: check.id,
        status: success,
        response_time: responseTime,
        error_message: errorMessage,
        checked_at: this.now(),
      })
      .execute();
    if (!success && before?.status !== false) await this.sendAlert(check, errorMessage);
    if (success && before?.status === false) await this.sendRecovery(check);
  }

  /** Once when a server goes down, not with each check that finds it so. */
  private async sendAlert(check: Check, errorMessage: string | null): Promise<void> {
    this.logError('alert', { check: check.name, target: check.target }, errorMessage ?? '');
    await this.tell('check.down', check, { error_message: errorMessage });
  }

  private async sendRecovery(check: Check): Promise<void> {
    this.logInfo('recovery', { check: check.name, target: check.target });
    await this.tell('check.up', check, {});
  }

  private async tell(name: string, check: Check, more: Record<string, unknown>): Promise<void> {
    try {
      const { id, type, target } = check;
      await this.events.dispatch(name, { check_id: id, name: check.name, type, target, ...more });
    } catch (error) {
      // Whoever may not be told does not keep the checks from running.
      this.logError('tell', { event: name, check: check.name }, messageOf(error));
    }
  }
}
