/** The one line a fake cloud prints when it is ready: every address and every key a module needs to use it. */
import type { Cloud } from './cloud.ts';
import { integer, list, nullable, object, oneOf, text } from './shape.ts';
import type { Of } from './shape.ts';

export const readyShape = object({
  ready: (value: unknown, at: string) => oneOf('true')(String(value), at) === 'true',
  /** The origin of the cloud API (paths /v2/…), of the human page (/) and of everything else over HTTP. */
  cloud: text(),
  cloudToken: text(),
  stripe: object({
    url: text(),
    /** One account each. */
    secretKeys: list(text()),
    /** Signs what goes to the webhook address given at start; null when none was given. */
    webhookSecret: nullable(text()),
  }),
  /** The incoming webhook's address. */
  slack: text(),
  smtp: object({ host: text(), port: integer(), username: text(), password: text() }),
  controlToken: text(),
});
export type Ready = Of<typeof readyShape>;

export function readyLine({ options, origin, smtpPort, webhookSecret }: Cloud): string {
  const ready: Ready = {
    ready: true,
    cloud: origin,
    cloudToken: options.cloudToken,
    stripe: {
      url: origin,
      secretKeys: [...options.stripeKeys],
      webhookSecret: options.webhookUrl === null ? null : webhookSecret,
    },
    slack: `${origin}/slack/${options.slackToken}`,
    smtp: {
      host: '127.0.0.1',
      port: smtpPort,
      username: options.smtpUsername,
      password: options.smtpPassword,
    },
    controlToken: options.controlToken,
  };
  return `${JSON.stringify(ready)}\n`;
}
