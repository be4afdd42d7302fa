/** The admin's pages. Routes in the entry file name these methods. */
import { Controller } from 'bulkhead';
import type { Tables } from '../models/tables.ts';

const ROWS = 200;

export default class MyCloudServiceController extends Controller<Tables> {
  async accounts(): Promise<string> {
    const accounts = await this.db
      .selectFrom('cloud_accounts')
      .select(['domain', 'username', 'status', 'created_at'])
      .orderBy('id', 'desc')
      .limit(ROWS)
      .execute();
    return this.view('admin_area.accounts', { accounts });
  }
}
