/**
 * The DigitalOcean-shaped API under /v2: what a Product module talks to. Shapes, statuses and error ids are those of the real
 * one; beside it there are `console`, `metrics` and `usage` on a droplet, which the real one offers elsewhere or not at all.
 */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { cloudError } from './area-error.ts';
import { IMAGES, imageJson, REGIONS, regionJson, SIZES, sizeJson } from './cloud-catalogue.ts';
import type { Consoles } from './console-page.ts';
import { planAction } from './droplet-actions.ts';
import { answer, page, parseJson, refused } from './droplet-http.ts';
import { actionJson, dropletJson, snapshotJson } from './droplet-json.ts';
import { readNewDroplet } from './droplet-read.ts';
import type { Droplet, DropletStore } from './droplet-store.ts';
import type { CloudEnv } from './env.ts';
import type { Replays } from './idempotency.ts';
import { metricsOf, usageOf } from './metrics.ts';
import { sameSecret } from './secrets.ts';

const NOT_FOUND = 'The resource you were accessing could not be found.';

export interface CloudParts {
  readonly store: DropletStore;
  readonly replays: Replays;
  readonly consoles: Consoles;
  readonly token: string;
  readonly dropletLimit: number;
  readonly origin: () => string;
}

export function cloudRoutes(parts: CloudParts): Hono<CloudEnv> {
  const app = new Hono<CloudEnv>();
  app.use(async (c, next) => {
    const given = /^Bearer (.+)$/i.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
    if (!sameSecret(given, parts.token)) return cloudError(401, 'Unable to authenticate you');
    return next();
  });
  app.get('/account', (c) => c.json({ account: accountJson(parts.dropletLimit) }));
  app.get('/regions', (c) => page(c, 'regions', REGIONS.map(regionJson)));
  app.get('/sizes', (c) => page(c, 'sizes', SIZES.map(sizeJson)));
  app.get('/images', (c) => page(c, 'images', IMAGES.map(imageJson)));
  app.get('/snapshots', (c) => page(c, 'snapshots', parts.store.snapshots().map(snapshotJson)));
  app.delete('/snapshots/:id', (c) => {
    const removed = parts.store.removeSnapshot(Number(c.req.param('id')), c.get('entry'));
    return removed ? c.body(null, 204) : cloudError(404, NOT_FOUND);
  });
  app.get('/actions/:id', (c) => {
    const action = parts.store.action(Number(c.req.param('id')));
    return action === undefined ? cloudError(404, NOT_FOUND) : c.json({ action: actionJson(action) });
  });
  addDropletRoutes(app, parts);
  addOneDropletRoutes(app, parts);
  app.all('*', () => cloudError(404, NOT_FOUND));
  return app;
}

function addDropletRoutes(app: Hono<CloudEnv>, parts: CloudParts): void {
  const { store, replays } = parts;
  app.post('/droplets', async (c) => {
    const body = await c.req.text();
    const wanted = readNewDroplet(parseJson(body));
    if (typeof wanted === 'string') return cloudError(422, wanted);
    const replay = replays.once('v2/droplets', c.req.header('idempotency-key') ?? null, body, () => {
      if (store.droplets().length >= parts.dropletLimit) {
        return refused('creating this/these droplet(s) will exceed your droplet limit');
      }
      const { droplet, action } = store.create(wanted, c.get('entry'));
      const link = { id: action.id, rel: 'create', href: `${parts.origin()}/v2/actions/${action.id}` };
      return { status: 202, body: { droplet: dropletJson(store, droplet), links: { actions: [link] } } };
    });
    return answer(replay);
  });
  app.get('/droplets', (c) => {
    const { name, tag_name: tag } = c.req.query();
    const found = store
      .droplets()
      .filter((droplet) => name === undefined || droplet.name === name)
      .filter((droplet) => tag === undefined || droplet.tags.includes(tag));
    return page(
      c,
      'droplets',
      found.map((droplet) => dropletJson(store, droplet)),
    );
  });
}

function addOneDropletRoutes(app: Hono<CloudEnv>, parts: CloudParts): void {
  const { store, replays } = parts;
  const withDroplet =
    (handle: (c: Context<CloudEnv>, droplet: Droplet) => Response | Promise<Response>) =>
    (c: Context<CloudEnv>) => {
      const droplet = store.droplet(Number(c.req.param('id')));
      return droplet === undefined ? cloudError(404, NOT_FOUND) : handle(c, droplet);
    };
  app.get(
    '/droplets/:id',
    withDroplet((c, droplet) => c.json({ droplet: dropletJson(store, droplet) })),
  );
  app.delete(
    '/droplets/:id',
    withDroplet((c, droplet) => {
      store.remove(droplet.id, c.get('entry'));
      return c.body(null, 204);
    }),
  );
  app.post(
    '/droplets/:id/actions',
    withDroplet(async (c, droplet) => {
      const body = await c.req.text();
      return answer(
        replays.once(
          `v2/droplets/${droplet.id}/actions`,
          c.req.header('idempotency-key') ?? null,
          body,
          () => {
            const plan = planAction(store, droplet, parseJson(body));
            if (plan.kind === 'refused') return refused(plan.message);
            const action = store.act(droplet, plan.type, plan.apply, c.get('entry'));
            return { status: 201, body: { action: actionJson(action) } };
          },
        ),
      );
    }),
  );
  app.get(
    '/droplets/:id/snapshots',
    withDroplet((c, droplet) => {
      const own = store.snapshots().filter((snapshot) => snapshot.dropletId === droplet.id);
      return page(c, 'snapshots', own.map(snapshotJson));
    }),
  );
  app.get(
    '/droplets/:id/console',
    withDroplet((c, droplet) => {
      if (droplet.status !== 'active')
        return cloudError(422, 'The console needs a Droplet that is switched on.');
      return c.json({ console_url: parts.consoles.open(droplet.id, parts.origin()) });
    }),
  );
  app.get(
    '/droplets/:id/usage',
    withDroplet((c, droplet) => c.json({ usage: usageOf(droplet, Date.now()) })),
  );
  app.get(
    '/droplets/:id/metrics',
    withDroplet((c, droplet) => {
      const minutes = Number(c.req.query('minutes') ?? 60);
      if (!Number.isInteger(minutes) || minutes < 1)
        return cloudError(422, 'minutes must be a positive integer');
      return c.json({ metrics: metricsOf(droplet, minutes, Date.now()) });
    }),
  );
}

function accountJson(dropletLimit: number): Record<string, unknown> {
  return {
    droplet_limit: dropletLimit,
    email: 'demo@fakecloud.example',
    name: 'Fake Cloud Demo',
    uuid: '5d9f3a5e-0000-4000-8000-000000000000',
    email_verified: true,
    status: 'active',
    status_message: '',
  };
}
