/**
 * The receiving end of a Slack incoming webhook: one POST, `ok` or one of Slack's bare words. The webhook's address is its
 * only secret, as it is at Slack.
 */
import { Hono } from 'hono';
import type { CloudEnv } from './env.ts';
import type { Ledger } from './ledger.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { sameSecret } from './secrets.ts';
import { integer, isRecord, object, record, text, unknown } from './shape.ts';
import type { Of } from './shape.ts';

export const slackMessageShape = object({
  seq: integer(),
  at: text(),
  /** What a reader of the channel sees first: the text, or the first attachment's. */
  summary: text(),
  payload: record(unknown()),
});
export type SlackMessage = Of<typeof slackMessageShape>;

export class SlackChannel {
  readonly messages: SlackMessage[] = [];
  #seq = 0;

  add(payload: Record<string, unknown>): SlackMessage {
    this.#seq += 1;
    const message = { seq: this.#seq, at: new Date().toISOString(), summary: summaryOf(payload), payload };
    this.messages.push(message);
    if (this.messages.length > FAKECLOUD_LIMITS.slackMessages) this.messages.shift();
    return message;
  }

  reset(): void {
    this.messages.length = 0;
  }
}

export function slackRoutes(channel: SlackChannel, ledger: Ledger, token: string): Hono<CloudEnv> {
  const app = new Hono<CloudEnv>();
  app.post('/:token', async (c) => {
    if (!sameSecret(c.req.param('token'), token)) return c.text('invalid_token', 403);
    const payload = readPayload(c.req.header('content-type') ?? '', await c.req.text());
    if (payload === undefined) return c.text('invalid_payload', 400);
    const problem = problemOf(payload);
    if (problem !== null) return c.text(problem, 400);
    const message = channel.add(payload);
    ledger.effect('slack.message', message.seq, c.get('entry'));
    return c.text('ok');
  });
  app.all('*', (c) =>
    c.text(
      c.req.method === 'POST' ? 'no_service' : 'method_not_allowed',
      c.req.method === 'POST' ? 404 : 405,
    ),
  );
  return app;
}

/** JSON, or a form with the JSON in its field `payload`: Slack takes both. */
function readPayload(contentType: string, body: string): Record<string, unknown> | undefined {
  const isForm = contentType.startsWith('application/x-www-form-urlencoded');
  try {
    const value: unknown = JSON.parse(isForm ? (new URLSearchParams(body).get('payload') ?? '') : body);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function problemOf(payload: Readonly<Record<string, unknown>>): string | null {
  const { text: words, attachments, blocks } = payload;
  const wrongTypes = [
    words !== undefined && typeof words !== 'string',
    isNotList(attachments),
    isNotList(blocks),
  ];
  if (wrongTypes.includes(true)) return 'invalid_payload';
  if (Array.isArray(attachments) && attachments.length > FAKECLOUD_LIMITS.slackAttachments)
    return 'too_many_attachments';
  const hasText = typeof words === 'string' && words !== '';
  const hasMore = [attachments, blocks].some((part) => Array.isArray(part) && part.length > 0);
  return hasText || hasMore ? null : 'no_text';
}

function isNotList(value: unknown): boolean {
  return value !== undefined && !Array.isArray(value);
}

function summaryOf(payload: Readonly<Record<string, unknown>>): string {
  const { text: words, attachments } = payload;
  if (typeof words === 'string' && words !== '') return words;
  const first: unknown = Array.isArray(attachments) ? attachments[0] : undefined;
  if (!isRecord(first)) return '(blocks)';
  return [first['title'], first['text'] ?? first['fallback']]
    .filter((part) => typeof part === 'string')
    .join(': ');
}
