/** The host's own texts in Polish: a tenant's admin may change each. */
import type { HostTexts } from '../templates.ts';
import { en } from './en.ts';

export const pl: HostTexts = {
  layout: en.layout
    .replace('lang="en"', 'lang="pl"')
    .replace(
      'Sent by {{ tenant.name }}. Please do not answer this mail.',
      'Wysłano przez {{ tenant.name }}. Prosimy nie odpowiadać na tę wiadomość.',
    ),
  greeting: 'Dzień dobry{% if recipient.name %} {{ recipient.name }}{% endif %},',
  templates: {
    message: en.templates.message,
    InvoiceCreated: {
      subject: 'Faktura {{ event.number }}',
      lines: [
        'wystawiliśmy fakturę {{ event.number }} na kwotę {{ event.total_minor | money: event.currency }}.',
        'Znajdziesz ją w panelu klienta, razem ze sposobami zapłaty.',
      ],
    },
    InvoicePaid: {
      subject: 'Faktura {{ event.number }} jest opłacona',
      lines: ['faktura {{ event.number }} jest opłacona. Dziękujemy.'],
    },
    PaymentFailed: {
      subject: 'Płatność nie powiodła się',
      lines: ['płatność za fakturę {{ event.number }} nie powiodła się. Spróbuj ponownie w panelu klienta.'],
    },
    PaymentRefunded: {
      subject: 'Zwrot płatności',
      lines: ['zwracamy {{ event.amount_minor | money: event.currency }} z faktury {{ event.number }}.'],
    },
    ServiceCreated: {
      subject: '{{ event.name | default: "Twoja usługa" }} jest gotowa',
      lines: ['{{ event.name | default: "Twoja usługa" }} jest gotowa. Znajdziesz ją w panelu klienta.'],
    },
    ServiceSuspended: {
      subject: '{{ event.name | default: "Twoja usługa" }} jest zawieszona',
      lines: [
        '{{ event.name | default: "Twoja usługa" }} jest zawieszona. Zajrzyj do panelu klienta lub napisz do nas.',
      ],
    },
    ServiceTerminated: {
      subject: '{{ event.name | default: "Twoja usługa" }} została zakończona',
      lines: ['{{ event.name | default: "Twoja usługa" }} została zakończona.'],
    },
    ServiceCreateFailed: {
      subject: 'Nie udało się utworzyć usługi',
      lines: [
        'usługi {{ event.name }} nie udało się utworzyć: {{ event.message }}',
        'Jej oś czasu pokazuje, co się stało.',
      ],
    },
    ModulePaused: {
      subject: 'Moduł {{ event.module }} jest wstrzymany',
      lines: [
        'moduł {{ event.module }} jest wstrzymany: {{ event.reason }}',
        'Więcej na jego stronie, tam też można go wznowić.',
      ],
    },
    ClientRegistered: {
      subject: 'Nowy klient: {{ event.name }}',
      lines: ['{{ event.name }} ({{ event.email }}) jest od teraz klientem.'],
    },
    test: {
      subject: 'Wiadomość próbna od {{ tenant.name }}',
      lines: ['ta wiadomość pokazuje, że wysyłka działa.'],
    },
  },
};
