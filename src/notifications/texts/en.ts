/** The host's own texts in English: a tenant's admin may change each. */
import type { HostTexts } from '../templates.ts';

export const en: HostTexts = {
  layout: `<!doctype html><html lang="en"><head><meta charset="utf-8"></head>
<body style="margin:0;background:#f4f6fa;font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;color:#182433">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center" style="padding:32px 16px">
<table role="presentation" width="560" cellpadding="0" cellspacing="0" style="max-width:560px;width:100%;background:#ffffff;border:1px solid #e6e8ec;border-radius:8px">
<tr><td style="padding:20px 32px;border-bottom:1px solid #e6e8ec;font-size:18px;font-weight:600">{{ tenant.name }}</td></tr>
<tr><td style="padding:28px 32px;font-size:15px;line-height:24px">{{ content }}</td></tr>
<tr><td style="padding:16px 32px;border-top:1px solid #e6e8ec;font-size:12px;color:#6b7a90">Sent by {{ tenant.name }}. Please do not answer this mail.</td></tr>
</table></td></tr></table></body></html>`,
  greeting: 'Hello{% if recipient.name %} {{ recipient.name }}{% endif %},',
  templates: {
    message: {
      subject: '{{ subject }}',
      lines: ['{{ message }}'],
    },
    InvoiceCreated: {
      subject: 'Invoice {{ event.number }}',
      lines: [
        'there is a new invoice {{ event.number }} over {{ event.total_minor | money: event.currency }}.',
        'You find it, and ways to pay it, in your client area.',
      ],
    },
    InvoicePaid: {
      subject: 'Invoice {{ event.number }} is paid',
      lines: ['your invoice {{ event.number }} is paid. Thank you.'],
    },
    PaymentFailed: {
      subject: 'A payment did not go through',
      lines: [
        'your payment for invoice {{ event.number }} did not go through. Please try again in your client area.',
      ],
    },
    PaymentRefunded: {
      subject: 'A payment was refunded',
      lines: [
        '{{ event.amount_minor | money: event.currency }} of invoice {{ event.number }} go back to you.',
      ],
    },
    ServiceCreated: {
      subject: '{{ event.name | default: "Your service" }} is ready',
      lines: [
        '{{ event.name | default: "your service" }} is ready to be used. You find it in your client area.',
      ],
    },
    ServiceSuspended: {
      subject: '{{ event.name | default: "Your service" }} is suspended',
      lines: [
        '{{ event.name | default: "your service" }} is suspended. Please look into your client area or write to us.',
      ],
    },
    ServiceTerminated: {
      subject: '{{ event.name | default: "Your service" }} has ended',
      lines: ['{{ event.name | default: "your service" }} has ended.'],
    },
    ServiceCreateFailed: {
      subject: 'A service could not be made',
      lines: [
        'the service {{ event.name }} could not be made: {{ event.message }}',
        'Its timeline shows what happened.',
      ],
    },
    ModulePaused: {
      subject: 'The module {{ event.module }} is paused',
      lines: [
        'the module {{ event.module }} is paused: {{ event.reason }}',
        'Its page tells more, and lets it run again.',
      ],
    },
    ClientRegistered: {
      subject: 'A new client: {{ event.name }}',
      lines: ['{{ event.name }} ({{ event.email }}) is a client now.'],
    },
    test: {
      subject: 'A test message of {{ tenant.name }}',
      lines: ['this message shows that the sender works.'],
    },
  },
};
