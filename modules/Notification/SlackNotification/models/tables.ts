/** The module's table, as this.db knows it: what was sent lately. What makes it is services/schema.ts. */
import type { Generated, Selectable } from 'bulkhead';

export const MESSAGE_STATUSES = ['sent', 'failed'] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

export interface SlackMessagesTable {
  id: Generated<number>;
  instance_uuid: string | null;
  recipient: string;
  subject: string;
  status: MessageStatus;
  /** Why it failed; empty for what was sent. */
  error: string;
  created_at: Generated<Date>;
}

export interface Tables {
  slack_messages: SlackMessagesTable;
}

export type SentMessage = Selectable<SlackMessagesTable>;
