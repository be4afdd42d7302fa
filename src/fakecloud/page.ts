/**
 * The page at /: what runs here, what happened, and buttons to break things on purpose. No script, no dependency; everything
 * shown came from strangers, so everything goes through the escaping template.
 */
import { html } from 'hono/html';
import type { Cloud } from './cloud.ts';
import type { Fault } from './faults.ts';
import { button, hidden, table } from './page-parts.ts';
import type { Html } from './page-parts.ts';
import { PAGE_STYLE } from './page-style.ts';
import { PRESETS } from './presets.ts';
import { amountText } from './stripe-page.ts';
import { refundedOf } from './stripe-store.ts';

const LAST_ROWS = 25;

export function overviewPage(cloud: Cloud): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Fake cloud</title>
        ${PAGE_STYLE}
      </head>
      <body>
        <main>
          <h1>Fake cloud</h1>
          <p>
            A cloud provider, a payment gateway, a Slack channel and a mail server, all pretended by one small
            process on this machine. Modules talk to it over real HTTP and SMTP. Break something below and
            watch how the panel copes.
            <a href="/">Refresh</a>
          </p>
          ${faultSection(cloud)} ${dropletSection(cloud)} ${paymentSection(cloud)} ${webhookSection(cloud)}
          ${messageSection(cloud)} ${addressSection(cloud)} ${requestSection(cloud)}
          <section>${button(cloud, { do: 'reset' }, 'Forget everything and start anew')}</section>
        </main>
      </body>
    </html>`;
}

function faultSection(cloud: Cloud): Html {
  const buttons = PRESETS.map(({ id, title }) => button(cloud, { do: 'preset', preset: id }, title));
  const rows = cloud.faults
    .list()
    .map((fault) => [
      describe(fault),
      fault.left === null ? 'until switched off' : String(fault.left),
      fault.hits,
      button(cloud, { do: 'remove-fault', fault: fault.id }, 'Switch off'),
    ]);
  return html`<section aria-labelledby="faults">
    <h2 id="faults">Break something</h2>
    <div class="buttons">${buttons}</div>
    ${table('Faults switched on', ['Fault', 'Times left', 'Struck', ''], rows)}
    ${rows.length === 0 ? '' : button(cloud, { do: 'clear-faults' }, 'Switch all off')}
  </section>`;
}

function describe({ match, kind, status, delayMs, when }: Fault): string {
  const what = kind === 'status' ? `answer ${status}` : kind;
  const pause = delayMs > 0 ? ` ${delayMs / 1000} s` : '';
  return `${match.method ?? 'any'} ${match.path ?? 'everywhere'}: ${what}${pause}, ${when} it took effect`;
}

function dropletSection(cloud: Cloud): Html {
  const { provisioningMs, actionMs } = cloud.droplets.delays;
  const rows = cloud.droplets
    .droplets()
    .map((droplet) => [
      droplet.id,
      droplet.name,
      droplet.status,
      droplet.status === 'new' ? '' : droplet.address,
      `${droplet.size.slug}, ${droplet.region.slug}, ${droplet.image.slug}`,
      button(
        cloud,
        { do: 'destroy-droplet', droplet: String(droplet.id) },
        'Destroy behind the panel’s back',
      ),
    ]);
  return html`<section aria-labelledby="servers">
    <h2 id="servers">Servers</h2>
    ${table('Droplets of the cloud', ['Id', 'Name', 'Status', 'Address', 'Kind', ''], rows)}
    <form method="post" action="/_page">
      ${hidden(cloud, { do: 'delays' })}
      <label
        >A new server takes
        <input name="provisioning" type="number" min="0" max="86400" value="${provisioningMs / 1000}" />
        s</label
      >
      <label
        >any other action
        <input name="action" type="number" min="0" max="86400" value="${actionMs / 1000}" /> s</label
      >
      <button>Set</button>
    </form>
  </section>`;
}

function paymentSection(cloud: Cloud): Html {
  const rows = cloud.stripe
    .sessions()
    .slice(-LAST_ROWS)
    .map((session) => {
      const { charge } = session.intent;
      const refunded = charge === null ? 0 : refundedOf(charge);
      return [
        session.title,
        amountText(session.amount, session.currency),
        refunded === 0
          ? session.status
          : `${session.status}, refunded ${amountText(refunded, session.currency)}`,
        html`<a href="/c/pay/${session.id}">Open the checkout</a>`,
      ];
    });
  return html`<section aria-labelledby="payments">
    <h2 id="payments">Payments</h2>
    ${table('Checkouts of the payment gateway', ['What', 'Amount', 'Status', ''], rows)}
  </section>`;
}

function webhookSection(cloud: Cloud): Html {
  const { policy, deliveries } = cloud.webhooks;
  const rows = deliveries.slice(-LAST_ROWS).map((delivery) => {
    const last = delivery.attempts.at(-1);
    const outcome = last === undefined ? '' : `${last.status ?? 'no answer'}: ${last.answer}`;
    const resend = button(cloud, { do: 'resend-webhook', event: delivery.eventId }, 'Send again');
    return [delivery.eventType, delivery.url, delivery.state, delivery.attempts.length, outcome, resend];
  });
  const option = (value: string, chosen: string, label: string) =>
    html`<option value="${value}" ${value === chosen ? html`selected` : ''}>${label}</option>`;
  return html`<section aria-labelledby="webhooks">
    <h2 id="webhooks">Webhooks</h2>
    ${endpointPart(cloud)}
    ${table('Deliveries', ['Event', 'To', 'State', 'Attempts', 'Last answer', ''], rows)}
    <form method="post" action="/_page">
      ${hidden(cloud, { do: 'webhook-policy' })}
      <label>Copies <input name="copies" type="number" min="1" max="5" value="${policy.copies}" /></label>
      <label
        >Delay
        <input name="delay" type="number" min="0" max="120" value="${policy.delayMs / 1000}" /> s</label
      >
      <label
        >Order
        <select name="order">
          ${option('sent', policy.order, 'as it happened')} ${option('reversed', policy.order, 'reversed')}
        </select></label
      >
      <label
        >Signature
        <select name="signature">
          ${option('valid', policy.signature, 'valid')} ${option('wrong', policy.signature, 'wrong')}
          ${option('old', policy.signature, 'an hour old')}
        </select></label
      >
      <label
        ><input name="hold" type="checkbox" value="yes" ${policy.hold ? html`checked` : ''} /> hold
        back</label
      >
      <button>Set</button>
    </form>
    ${policy.hold ? button(cloud, { do: 'release-webhooks' }, 'Send what is held back') : ''}
  </section>`;
}

/** Where the payment gateway tells of payments: the address comes from the panel, the secret goes into it. */
function endpointPart(cloud: Cloud): Html {
  const rows = cloud.webhooks.endpoints.map(({ id, url, secret }) => [
    url,
    html`<code>${secret}</code>`,
    button(cloud, { do: 'remove-webhook', endpoint: id }, 'Remove'),
  ]);
  return html`${table('Endpoints of the payment gateway', ['Address', 'Signing secret', ''], rows)}
    <form method="post" action="/_page">
      ${hidden(cloud, { do: 'add-webhook' })}
      <label
        >Address
        <input
          name="url"
          type="url"
          size="60"
          placeholder="the webhook address that the panel shows"
          required
      /></label>
      <button>Add endpoint</button>
    </form>`;
}

function messageSection(cloud: Cloud): Html {
  const mails = cloud.mailbox.mails.slice(-LAST_ROWS).map(({ at, from, to, subject, body }) => [
    at,
    from,
    to.join(', '),
    html`<details>
      <summary>${subject === '' ? '(no subject)' : subject}</summary>
      <pre>${body}</pre>
    </details>`,
  ]);
  const slack = cloud.slack.messages.slice(-LAST_ROWS).map(({ at, summary }) => [at, summary]);
  return html`<section aria-labelledby="messages">
    <h2 id="messages">Messages</h2>
    ${table('Mails received', ['At', 'From', 'To', 'Subject'], mails)}
    ${table('Slack messages received', ['At', 'Message'], slack)}
  </section>`;
}

function addressSection({ options, origin, smtpPort, webhookSecret }: Cloud): Html {
  const entries: readonly (readonly [string, string])[] = [
    ['Cloud API', `${origin}/v2`],
    ['Cloud token', options.cloudToken],
    ['Stripe API', `${origin}/v1`],
    ['Stripe secret key', options.stripeKeys.join(', ')],
    ...(options.webhookUrl === null ? [] : [['Stripe webhook secret', webhookSecret] as const]),
    ['Slack webhook', `${origin}/slack/${options.slackToken}`],
    ['Mail server', `127.0.0.1:${smtpPort}, no encryption`],
    ['Mail user and password', `${options.smtpUsername} / ${options.smtpPassword}`],
  ];
  return html`<section aria-labelledby="addresses">
    <h2 id="addresses">Addresses and keys</h2>
    <p>All of them are made up at start and work nowhere else.</p>
    <dl>
      ${entries.map(
        ([name, value]) =>
          html`<dt>${name}</dt>
            <dd><code>${value}</code></dd>`,
      )}
    </dl>
  </section>`;
}

function requestSection(cloud: Cloud): Html {
  const rows = cloud.ledger.requests
    .slice(-LAST_ROWS)
    .toReversed()
    .map((entry) => [
      entry.at,
      `${entry.method} ${entry.path}`,
      entry.status ?? entry.outcome,
      entry.fault ?? '',
    ]);
  return html`<section aria-labelledby="requests">
    <h2 id="requests">Last requests</h2>
    ${table('Newest first', ['At', 'Request', 'Answer', 'Fault'], rows)}
  </section>`;
}
