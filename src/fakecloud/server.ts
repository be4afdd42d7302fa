/** Puts the areas together and binds the two ports, on the loopback address and on no other. */
import { once } from 'node:events';
import type { Server as NetServer } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { createServer } from 'node:http';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { areaError } from './area-error.ts';
import { Cloud } from './cloud.ts';
import { consoleRoutes } from './console-page.ts';
import { controlRoutes, loopbackOnly } from './control.ts';
import { cloudRoutes } from './droplets.ts';
import type { CloudEnv } from './env.ts';
import { recordedAndFaulty } from './fault-http.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import type { FakeCloudOptions } from './options.ts';
import { overviewPage } from './page.ts';
import { pageFormRoutes } from './page-forms.ts';
import { slackRoutes } from './slack.ts';
import { smtpServer } from './smtp.ts';
import { checkoutPageRoutes } from './stripe-page.ts';
import { stripeRoutes } from './stripe.ts';

const HOST = '127.0.0.1';
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
};

/** Starts both servers. @throws when a port is taken or an option is wrong */
export async function startFakeCloud(options: FakeCloudOptions): Promise<Cloud> {
  const cloud = new Cloud(options);
  const app = cloudApp(cloud);
  const listener = getRequestListener(app.fetch);
  const web = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  const smtp = smtpServer({
    mailbox: cloud.mailbox,
    faults: cloud.faults,
    ledger: cloud.ledger,
    account: {
      username: options.smtpUsername,
      password: options.smtpPassword,
      required: options.smtpAuthRequired,
    },
  });
  cloud.origin = `http://${HOST}:${await bind(web, options.port)}`;
  cloud.smtpPort = await bind(smtp, options.smtpPort);
  return cloud;
}

function cloudApp(cloud: Cloud): Hono<CloudEnv> {
  const { ledger, faults, replays, options, consoles } = cloud;
  const origin = () => cloud.origin;
  const app = new Hono<CloudEnv>();
  app.use(
    bodyLimit({
      maxSize: FAKECLOUD_LIMITS.requestBytes,
      onError: (c) => areaError(c.req.path, 413, 'The request is too large.'),
    }),
  );
  app.get('/', loopbackOnly, (c) => c.html(overviewPage(cloud), 200, PAGE_HEADERS));
  // Browsers ask by themselves; that is nobody's request, so it meets no fault and enters no ledger.
  app.get('/favicon.ico', (c) => c.body(null, 204));
  app.route('/_page', pageFormRoutes(cloud));
  app.route('/_control', controlRoutes(cloud));

  app.use(recordedAndFaulty(ledger, faults));
  const { cloudToken: token, dropletLimit, stripeKeys: secretKeys, slackToken } = options;
  app.route('/v2', cloudRoutes({ store: cloud.droplets, replays, consoles, token, dropletLimit, origin }));
  app.route(
    '/v1',
    stripeRoutes({ store: cloud.stripe, webhooks: cloud.webhooks, replays, secretKeys, origin }),
  );
  app.route('/c/pay', checkoutPageRoutes(cloud.stripe, cloud.webhooks, origin));
  app.route('/console', consoleRoutes(cloud.droplets, consoles));
  app.route('/slack', slackRoutes(cloud.slack, ledger, slackToken));
  app.notFound((c) => areaError(c.req.path, 404, 'There is nothing here.'));
  app.onError((error, c) => {
    process.stderr.write(`fake cloud: ${c.req.method} ${c.req.path}: ${error.stack ?? error.message}\n`);
    return areaError(c.req.path, 500, 'The fake cloud failed; its own log says why.');
  });
  return app;
}

async function bind(server: NetServer, port: number): Promise<number> {
  server.listen(port, HOST);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return address.port;
}
