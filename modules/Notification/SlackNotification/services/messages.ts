/** What was sent lately, and what could not be. Kept for 30 days. */
import type { Kysely } from 'bulkhead';
import type { SentMessage, Tables } from '../models/tables.ts';

/** What a string() column holds. */
const TEXT_CHARS = 255;
const KEPT_DAYS = 30;
const DAY_MS = 86_400_000;

export class Messages {
  private readonly db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.db = db;
  }

  async add(
    message: Pick<SentMessage, 'instance_uuid' | 'recipient' | 'subject' | 'status' | 'error'>,
  ): Promise<void> {
    await this.db
      .insertInto('slack_messages')
      .values({
        ...message,
        recipient: message.recipient.slice(0, TEXT_CHARS),
        subject: message.subject.slice(0, TEXT_CHARS),
        error: message.error.slice(0, TEXT_CHARS),
      })
      .execute();
  }

  async dropOld(now: Date): Promise<void> {
    await this.db
      .deleteFrom('slack_messages')
      .where('created_at', '<', new Date(now.getTime() - KEPT_DAYS * DAY_MS))
      .execute();
  }

  async counts(): Promise<{ sent: number; failed: number }> {
    const rows = await this.db
      .selectFrom('slack_messages')
      .select((e) => ['status', e.fn.countAll<number>().as('total')])
      .groupBy('status')
      .execute();
    const of = (status: SentMessage['status']): number =>
      rows.find((row) => row.status === status)?.total ?? 0;
    return { sent: of('sent'), failed: of('failed') };
  }

  async latest(limit: number): Promise<SentMessage[]> {
    return this.db.selectFrom('slack_messages').selectAll().orderBy('id', 'desc').limit(limit).execute();
  }
}
