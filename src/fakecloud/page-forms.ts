/**
 * The page's buttons: one POST with the control token in a hidden field and a `do` from a closed table, so that the page works
 * without a script and no other site's form can press anything.
 */
import { Hono } from 'hono';
import type { Cloud } from './cloud.ts';
import { delaysShape, loopbackOnly } from './control.ts';
import type { CloudEnv } from './env.ts';
import { PRESETS } from './presets.ts';
import { sameSecret } from './secrets.ts';
import { ShapeError } from './shape.ts';
import { DEFAULT_POLICY, webhookPolicyShape } from './webhook-shapes.ts';

type Fields = Readonly<Record<string, string>>;
type Command = (cloud: Cloud, fields: Fields) => void;

const COMMANDS = new Map<string, Command>([
  [
    'preset',
    (cloud, fields) => {
      const preset = PRESETS.find(({ id }) => id === fields['preset']);
      if (preset === undefined) throw new ShapeError('preset: there is no such fault');
      cloud.faults.add(preset.fault);
    },
  ],
  ['remove-fault', (cloud, fields) => void cloud.faults.remove(fields['fault'] ?? '')],
  ['clear-faults', (cloud) => cloud.faults.clear()],
  [
    'delays',
    (cloud, fields) => {
      const seconds = {
        provisioningMs: Number(fields['provisioning']) * 1000,
        actionMs: Number(fields['action']) * 1000,
      };
      Object.assign(cloud.droplets.delays, delaysShape(seconds, 'delays'));
    },
  ],
  ['destroy-droplet', (cloud, fields) => void cloud.droplets.remove(Number(fields['droplet']), null)],
  [
    'webhook-policy',
    (cloud, fields) => {
      const wanted = {
        ...DEFAULT_POLICY,
        copies: Number(fields['copies']),
        order: fields['order'],
        delayMs: Number(fields['delay']) * 1000,
        hold: fields['hold'] === 'yes',
        signature: fields['signature'],
      };
      cloud.webhooks.policy = webhookPolicyShape(wanted, 'webhooks');
    },
  ],
  [
    'add-webhook',
    (cloud, fields) => {
      const added = cloud.webhooks.addEndpoint(cloud.firstAccount, fields['url'] ?? '', ['*']);
      if (typeof added === 'string') throw new ShapeError(added);
    },
  ],
  ['remove-webhook', (cloud, fields) => void cloud.webhooks.removeEndpoint(fields['endpoint'] ?? '', null)],
  ['release-webhooks', (cloud) => void cloud.webhooks.release()],
  ['resend-webhook', (cloud, fields) => void cloud.webhooks.resend(fields['event'] ?? '')],
  ['reset', (cloud) => cloud.reset()],
]);

export function pageFormRoutes(cloud: Cloud): Hono<CloudEnv> {
  const app = new Hono<CloudEnv>();
  app.use(loopbackOnly);
  app.post('/', async (c) => {
    const fields = Object.fromEntries(new URLSearchParams(await c.req.text()));
    if (!sameSecret(fields['token'] ?? '', cloud.options.controlToken)) {
      return c.text(
        'This form is from another run of the fake cloud. Go back, reload the page and try again.',
        403,
      );
    }
    const command = COMMANDS.get(fields['do'] ?? '');
    if (command === undefined) return c.text('There is no such button.', 404);
    try {
      command(cloud, fields);
    } catch (error) {
      if (error instanceof ShapeError) return c.text(`${error.message}. Go back and change it.`, 422);
      throw error;
    }
    return c.redirect('/', 303);
  });
  return app;
}
