/** My Cloud Service: what it adds to the panel. */
import { Plugin } from 'bulkhead';
import type { ActionAnswer, Permission, Route, SidebarEntry } from 'bulkhead';
import type { Tables } from './models/tables.ts';
import { createTables } from './services/schema.ts';

export default class MyCloudService extends Plugin<Tables> {
  /** Runs whenever the module is enabled, also on data that was kept: make only what is not there. */
  override async activate(): Promise<string> {
    await createTables(this.db);
    this.logInfo('activate', 'Module activated successfully');
    return 'success';
  }

  /** A background job: queued by the controller, run by a worker. */
  async addNoteJob({ text }: { readonly text: string }): Promise<ActionAnswer> {
    await this.db.insertInto('notes').values({ text }).execute();
    return { status: 'success' };
  }

  override adminPermissions(): Permission[] {
    return [{ name: 'Use notes', key: 'notes', description: 'See and add notes' }];
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      { title: 'My Cloud Service', link: 'dashboard', active_links: ['dashboard'], permission: 'notes' },
    ];
  }

  override adminWebRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'dashboard',
        permission: 'notes',
        name: 'dashboard',
        controller: 'MyCloudServiceController@dashboard',
      },
    ];
  }

  override adminApiRoutes(): Route[] {
    return [
      {
        method: 'post',
        uri: 'notes',
        permission: 'notes',
        name: 'notes.add',
        controller: 'MyCloudServiceController@addNote',
      },
    ];
  }
}
