/** The admin's pages. Routes in the entry file name these methods. */
import { Controller, json, rules, v, type IncomingRequest, type Reply } from 'bulkhead';
import type { Tables } from '../models/tables.ts';

const ROWS = 200;
const NoteRules = v.object({ text: rules.text() });

export default class MyCloudServiceController extends Controller<Tables> {
  async dashboard(): Promise<string> {
    const notes = await this.db.selectFrom('notes').selectAll().orderBy('id', 'desc').limit(ROWS).execute();
    return this.view('admin_area.dashboard', { notes });
  }

  async addNote(request: IncomingRequest): Promise<Reply> {
    const checked = this.validate(NoteRules, request.all());
    if (checked.status === 'error')
      return json({ success: false, message: this.t('notes.empty'), errors: checked.errors }, 422);
    await this.tasks.add({ method: 'addNoteJob', params: checked.data, tags: ['notes'] });
    return json({ success: true, message: this.t('notes.queued') });
  }
}
