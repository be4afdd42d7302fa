/** logs: structured lines that the tenant's admin reads beside tasks and services. Secrets are redacted by the host. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { notification } from '../op.ts';

export const LOG_LEVELS = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
] as const;

export const logs = capability({
  title: 'Logs',
  doc: 'Write lines to the installation’s own log.',
  icon: 'scroll',
  inherent: true,
  grant: {},
  ops: {
    write: notification(
      'Writes one line. `request` and `response` are texts or objects, as the module likes.',
      v.object({
        level: v.picklist(LOG_LEVELS),
        action: v.pipe(v.string(), v.maxLength(200)),
        request: v.optional(v.unknown()),
        response: v.optional(v.unknown()),
      }),
    ),
  },
});
