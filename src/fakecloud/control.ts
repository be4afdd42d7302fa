/**
 * The control API under /_control: break things, put them right, and see what happened. It wants the header `x-control-token`
 * and a loopback Host: a module that was granted the fake cloud's address must not be able to rewrite the ledger that judges
 * it, nor may a web page reach it through a name that resolves to this machine.
 */
import { Hono } from 'hono';
import type { Context, MiddlewareHandler } from 'hono';
import type { Cloud } from './cloud.ts';
import { dropletJson } from './droplet-json.ts';
import type { CloudEnv } from './env.ts';
import { sameSecret } from './secrets.ts';
import { integer, list, nullable, object, ShapeError, text, withDefault } from './shape.ts';
import type { Shape } from './shape.ts';
import { accountOf } from './stripe-store.ts';
import { webhookPolicyShape } from './webhook-shapes.ts';

const MAX_DELAY_MS = 24 * 3_600_000;

export const delaysShape = object({
  provisioningMs: integer({ min: 0, max: MAX_DELAY_MS }),
  actionMs: integer({ min: 0, max: MAX_DELAY_MS }),
});

const endpointInputShape = object({
  url: text(),
  events: withDefault(list(text(), { max: 50 }), ['*']),
  /** Whose payments; the first account's when left out. */
  secretKey: withDefault(nullable(text()), null),
});

/** For the control API and the page: refuses a Host that is not this machine's own. */
export const loopbackOnly: MiddlewareHandler<CloudEnv> = async (c, next) => {
  const host = c.req.header('host') ?? '';
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host)) {
    return c.text('Open the fake cloud by 127.0.0.1 or localhost.', 421);
  }
  return next();
};

export function controlRoutes(cloud: Cloud): Hono<CloudEnv> {
  const app = new Hono<CloudEnv>();
  app.use(loopbackOnly, async (c, next) => {
    if (!sameSecret(c.req.header('x-control-token') ?? '', cloud.options.controlToken)) {
      return c.json(
        {
          error: 'The header x-control-token is missing or wrong; the token is in the line printed at start.',
        },
        403,
      );
    }
    return next();
  });
  app.onError((error, c) => {
    if (error instanceof ShapeError || error instanceof SyntaxError)
      return c.json({ error: error.message }, 422);
    throw error;
  });

  app.get('/requests', (c) => c.json(cloud.ledger.requests));
  app.get('/effects', (c) => c.json(cloud.ledger.effects));
  app.get('/mails', (c) => c.json(cloud.mailbox.mails));
  app.get('/slack', (c) => c.json(cloud.slack.messages));
  app.post('/reset', (c) => {
    cloud.reset();
    return c.body(null, 204);
  });

  app.get('/faults', (c) => c.json(cloud.faults.list()));
  app.post('/faults', async (c) => c.json(cloud.faults.add(await c.req.json()), 201));
  app.delete('/faults', (c) => {
    cloud.faults.clear();
    return c.body(null, 204);
  });
  app.delete('/faults/:id', (c) => done(c, cloud.faults.remove(c.req.param('id'))));

  app.put('/delays', async (c) => {
    Object.assign(cloud.droplets.delays, await read(c, delaysShape));
    return c.json(cloud.droplets.delays);
  });
  app.get('/droplets', (c) =>
    c.json(cloud.droplets.droplets().map((droplet) => dropletJson(cloud.droplets, droplet))),
  );
  app.delete('/droplets/:id', (c) => done(c, cloud.droplets.remove(Number(c.req.param('id')), null)));
  addWebhookRoutes(app, cloud);
  app.all('*', (c) => c.json({ error: `There is no ${c.req.method} ${c.req.path}.` }, 404));
  return app;
}

function addWebhookRoutes(app: Hono<CloudEnv>, cloud: Cloud): void {
  const { webhooks } = cloud;
  app.post('/webhooks/endpoints', async (c) => {
    const { url, events, secretKey } = await read(c, endpointInputShape);
    const account = secretKey === null ? cloud.firstAccount : accountOf(secretKey);
    const endpoint = webhooks.addEndpoint(account, url, events);
    if (typeof endpoint === 'string') throw new ShapeError(`body.url: ${endpoint}`);
    return c.json({ id: endpoint.id, secret: endpoint.secret }, 201);
  });
  app.delete('/webhooks/endpoints/:id', (c) => done(c, webhooks.removeEndpoint(c.req.param('id'), null)));
  app.put('/webhooks/policy', async (c) => {
    webhooks.policy = await read(c, webhookPolicyShape);
    return c.json(webhooks.policy);
  });
  app.post('/webhooks/release', (c) => c.json({ released: webhooks.release() }));
  app.get('/webhooks/deliveries', (c) => c.json(webhooks.deliveries));
  app.post('/webhooks/events/:id/resend', (c) => done(c, webhooks.resend(c.req.param('id'))));
}

async function read<T>(c: Context<CloudEnv>, shape: Shape<T>): Promise<T> {
  return shape(await c.req.json(), 'body');
}

function done(c: Context<CloudEnv>, found: boolean): Response {
  return found ? c.body(null, 204) : c.json({ error: 'There is no such thing.' }, 404);
}
