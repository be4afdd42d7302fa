/**
 * The hosted checkout page: what the payer sees. Three buttons instead of a card form, so that nobody types a card number into
 * a fake. Whoever has the session's unguessable address may press them, as with the real page.
 */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { CloudEnv } from './env.ts';
import { PAGE_STYLE } from './page-style.ts';
import { intentJson, sessionJson } from './stripe-json.ts';
import type { Session, StripeStore } from './stripe-store.ts';
import type { Webhooks } from './stripe-webhooks.ts';

export function checkoutPageRoutes(
  store: StripeStore,
  webhooks: Webhooks,
  origin: () => string,
): Hono<CloudEnv> {
  const app = new Hono<CloudEnv>();
  app.get('/:id', (c) => {
    const session = store.session(c.req.param('id'), null);
    return session === undefined
      ? c.text('There is no such checkout.', 404)
      : c.html(checkoutPage(session, null));
  });
  app.post('/:id', async (c) => {
    const session = store.session(c.req.param('id'), null);
    if (session === undefined) return c.text('There is no such checkout.', 404);
    switch (new URLSearchParams(await c.req.text()).get('outcome') ?? '') {
      case 'pay':
        return pay(c, session);
      case 'decline':
        if (store.decline(session, c.get('entry'))) {
          webhooks.emit(session.account, [
            { type: 'payment_intent.payment_failed', object: intentJson(session.intent) },
          ]);
        }
        return c.html(checkoutPage(session, 'Your card was declined. Try again.'));
      case 'cancel':
        return session.cancelUrl === null
          ? c.text('This checkout has no address to go back to.')
          : c.redirect(session.cancelUrl, 303);
      default:
        return c.text('Press Pay, Decline or Cancel.', 400);
    }
  });
  return app;

  function pay(c: Context<CloudEnv>, session: Session): Response | Promise<Response> {
    if (store.pay(session, c.get('entry'))) {
      webhooks.emit(session.account, [
        { type: 'payment_intent.succeeded', object: intentJson(session.intent) },
        { type: 'checkout.session.completed', object: sessionJson(session, origin()) },
      ]);
    }
    if (session.status !== 'complete') return c.html(checkoutPage(session, null), 410);
    return c.redirect(session.successUrl.replaceAll('{CHECKOUT_SESSION_ID}', session.id), 303);
  }
}

function checkoutPage(session: Session, notice: string | null): ReturnType<typeof html> {
  const amount = amountText(session.amount, session.currency);
  const buttons = html`<form method="post">
    <button name="outcome" value="pay">Pay ${amount}</button>
    <button name="outcome" value="decline">Decline the card</button>
    <button name="outcome" value="cancel">Cancel and go back</button>
  </form>`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Checkout (fake cloud)</title>
        ${PAGE_STYLE}
      </head>
      <body>
        <main>
          <h1>${amount}</h1>
          <p>${session.title}</p>
          ${notice === null ? '' : html`<p role="alert">${notice}</p>`}
          ${session.status === 'open' ? buttons : html`<p role="status">This checkout is ${session.status}.</p>`}
          <p><small>This is a fake: no money moves and no card is asked for.</small></p>
        </main>
      </body>
    </html>`;
}

/** A currency the runtime does not know is shown in minor units rather than wrongly. */
export function amountText(amount: number, currency: string): string {
  try {
    const format = new Intl.NumberFormat('en', { style: 'currency', currency });
    return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
  } catch {
    return `${amount} ${currency}`;
  }
}
