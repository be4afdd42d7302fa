/**
 * The Stripe-shaped API under /v1: hosted checkout, the objects a payment leaves behind, refunds and webhook endpoints. Bodies
 * are forms, as Stripe's are. Key: `Authorization: Bearer sk_test_…` or Basic with the key as user name.
 */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { stripeError } from './area-error.ts';
import type { StripeProblem } from './area-error.ts';
import type { CloudEnv } from './env.ts';
import type { Answer, Replays } from './idempotency.ts';
import { sameSecret } from './secrets.ts';
import { formObject, formText, formTexts, parseForm } from './stripe-form.ts';
import type { Form } from './stripe-form.ts';
import { balanceTransactionJson, chargeJson, intentJson, refundJson, sessionJson } from './stripe-json.ts';
import { isProblem, planRefund, readNewSession } from './stripe-read.ts';
import { accountOf } from './stripe-store.ts';
import type { StripeStore } from './stripe-store.ts';
import type { Endpoint, Webhooks } from './stripe-webhooks.ts';

export interface StripeParts {
  readonly store: StripeStore;
  readonly webhooks: Webhooks;
  readonly replays: Replays;
  readonly secretKeys: readonly string[];
  readonly origin: () => string;
}

export function stripeRoutes(parts: StripeParts): Hono<CloudEnv> {
  const { store, webhooks, origin } = parts;
  const app = new Hono<CloudEnv>();
  app.use(async (c, next) => {
    if (accountIn(c, parts.secretKeys) === null)
      return stripeError(401, { message: 'Invalid API Key provided' });
    return next();
  });
  app.post('/checkout/sessions', (c) =>
    once(c, parts, (form, account) => {
      const wanted = readNewSession(form, account);
      if (isProblem(wanted)) return problem(400, wanted);
      return { status: 200, body: sessionJson(store.create(wanted, c.get('entry')), origin()) };
    }),
  );
  app.get('/checkout/sessions/:id', (c) => {
    const id = c.req.param('id');
    const session = store.session(id, accountIn(c, parts.secretKeys) ?? '');
    return session === undefined ? missing('checkout.session', id) : c.json(sessionJson(session, origin()));
  });
  app.post('/checkout/sessions/:id/expire', (c) =>
    once(c, parts, (_form, account) => {
      const id = c.req.param('id');
      const session = store.session(id, account);
      if (session === undefined) return problem(404, missingProblem('checkout.session', id));
      if (!store.expire(session, c.get('entry'))) {
        return problem(400, { message: 'Only Checkout Sessions with a status in ["open"] can be expired.' });
      }
      webhooks.emit(account, [{ type: 'checkout.session.expired', object: sessionJson(session, origin()) }]);
      return { status: 200, body: sessionJson(session, origin()) };
    }),
  );
  addPaymentRoutes(app, parts);
  addEndpointRoutes(app, parts);
  app.all('*', (c) =>
    stripeError(404, { message: `Unrecognized request URL (${c.req.method}: ${c.req.path}).` }),
  );
  return app;
}

function addPaymentRoutes(app: Hono<CloudEnv>, parts: StripeParts): void {
  const { store, webhooks } = parts;
  const own = (c: Context<CloudEnv>) => accountIn(c, parts.secretKeys) ?? '';
  app.get('/payment_intents/:id', (c) => {
    const intent = store.intent(c.req.param('id'), own(c));
    return intent === undefined ? missing('payment_intent', c.req.param('id')) : c.json(intentJson(intent));
  });
  app.get('/charges/:id', (c) => {
    const charge = store.charge(c.req.param('id'), own(c));
    return charge === undefined ? missing('charge', c.req.param('id')) : c.json(chargeJson(charge));
  });
  app.get('/balance_transactions/:id', (c) => {
    const charge = store
      .sessions()
      .find(({ intent }) => intent.charge?.balanceTransaction === c.req.param('id'))?.intent.charge;
    const isOwn = charge?.intent.account === own(c);
    return isOwn ? c.json(balanceTransactionJson(charge)) : missing('balance transaction', c.req.param('id'));
  });
  app.post('/refunds', (c) =>
    once(c, parts, (form, account) => {
      const plan = planRefund(store, form, account);
      if (isProblem(plan)) return problem(plan.code === 'resource_missing' ? 404 : 400, plan);
      const refund = store.refund(plan.charge, plan, c.get('entry'));
      webhooks.emit(account, [{ type: 'charge.refunded', object: chargeJson(plan.charge) }]);
      return { status: 200, body: refundJson(refund) };
    }),
  );
}

function addEndpointRoutes(app: Hono<CloudEnv>, parts: StripeParts): void {
  const { webhooks } = parts;
  app.post('/webhook_endpoints', (c) =>
    once(c, parts, (form, account) => {
      const events = Object.values(formTexts(formObject(form, 'enabled_events')));
      if (events.length === 0)
        return problem(400, { message: 'Missing required param: enabled_events.', param: 'enabled_events' });
      const endpoint = webhooks.addEndpoint(account, formText(form, 'url') ?? '', events);
      if (typeof endpoint === 'string')
        return problem(400, { message: endpoint, param: 'url', code: 'url_invalid' });
      return { status: 200, body: { ...endpointJson(endpoint), secret: endpoint.secret } };
    }),
  );
  app.get('/webhook_endpoints', (c) => {
    const own = webhooks.endpoints.filter(({ account }) => account === accountIn(c, parts.secretKeys));
    return c.json({
      object: 'list',
      data: own.map(endpointJson),
      has_more: false,
      url: '/v1/webhook_endpoints',
    });
  });
  app.delete('/webhook_endpoints/:id', (c) => {
    const id = c.req.param('id');
    const removed = webhooks.removeEndpoint(id, accountIn(c, parts.secretKeys));
    return removed
      ? c.json({ id, object: 'webhook_endpoint', deleted: true })
      : missing('webhook endpoint', id);
  });
}

function endpointJson({ id, url, events }: Endpoint): Record<string, unknown> {
  return { id, object: 'webhook_endpoint', url, enabled_events: events, livemode: false, status: 'enabled' };
}

function accountIn(c: Context<CloudEnv>, secretKeys: readonly string[]): string | null {
  const [, scheme = '', value = ''] =
    /^(Bearer|Basic) (.+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
  const given =
    scheme.toLowerCase() === 'basic'
      ? Buffer.from(value, 'base64').toString('utf8').replace(/:.*$/s, '')
      : value;
  const key = secretKeys.find((candidate) => sameSecret(given, candidate));
  return key === undefined ? null : accountOf(key);
}

/** Runs a POST once for its Idempotency-Key, as Stripe does for every POST. */
async function once(
  c: Context<CloudEnv>,
  parts: StripeParts,
  work: (form: Form, account: string) => Answer,
): Promise<Response> {
  const account = accountIn(c, parts.secretKeys) ?? '';
  const body = await c.req.text();
  const key = c.req.header('idempotency-key') ?? null;
  const replay = parts.replays.once(`${account} ${c.req.path}`, key, body, () =>
    work(parseForm(body), account),
  );
  if (replay.kind === 'mismatch') {
    const message = `Keys for idempotent requests can only be used with the same parameters they were first used with.`;
    return Response.json({ error: { type: 'idempotency_error', message } }, { status: 400 });
  }
  const headers: Record<string, string> = replay.replayed ? { 'idempotent-replayed': 'true' } : {};
  return Response.json(replay.answer.body, { status: replay.answer.status, headers });
}

function problem(status: number, found: StripeProblem): Answer {
  return { status, body: { error: { type: 'invalid_request_error', ...found } } };
}

function missingProblem(what: string, id: string): StripeProblem {
  return { message: `No such ${what}: '${id}'`, param: 'id', code: 'resource_missing' };
}

function missing(what: string, id: string): Response {
  return stripeError(404, missingProblem(what, id));
}
