/** What a tenant's admin may and may not do with a template that is rendered on the host. */
import { describe, expect, test } from 'vitest';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { renderText } from '../../src/notifications/engine.ts';
import { LOCALES, TEMPLATE_NAMES, render } from '../../src/notifications/templates.ts';
import { en } from '../../src/notifications/texts/en.ts';
import { pl } from '../../src/notifications/texts/pl.ts';

const values = {
  tenant: { name: 'Acme & Sons' },
  recipient: { name: '<b>Ann</b>' },
  event: { number: 'INV-1', total_minor: 1250, currency: 'USD' },
};

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof HostError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('templates', () => {
  test.each([
    ['a file', '{% include "/etc/passwd" %}', 'tag "include" not found'],
    ['another template', '{% render "../web/layout/shell" %}', 'tag "render" not found'],
    ['a layout of the panel', '{% layout "layout/shell" %}', 'tag "layout" not found'],
    ['an unknown filter', '{{ tenant.name | nothing }}', 'undefined filter'],
    ['HTML as it is', '{{ recipient.name | raw }}', 'undefined filter'],
    ['slow patterns', '{{ tenant.name | strip_html }}', 'undefined filter'],
    [
      'time without end',
      '{% for a in (1..9000) %}{% for b in (1..9000) %}{% assign c = a | plus: b %}{% endfor %}{% endfor %}',
      'limit exceeded',
    ],
    ['memory without end', '{% for a in (1..100000000) %}x{% endfor %}', 'limit exceeded'],
    [
      'a text that doubles',
      `{% assign a = "${'x'.repeat(100)}" %}${'{% assign a = a | append: a %}'.repeat(40)}{{ a }}`,
      '',
    ],
    ['too long a template', 'x'.repeat(40_000), 'limit exceeded'],
    ['a tag that does not end', '{% if tenant.name %}', 'not closed'],
  ])('%s is refused', (_what, template, why) => {
    const text = refusal(() => renderText('html', template, values));
    expect(text).toMatch(/^BAD_INPUT: The template cannot be used: /);
    expect(text).toContain(why);
  });

  test('a plain text that is captured into itself is refused before it is large', () => {
    const doubling = '{% capture s %}{{ s }}{{ s }}{% endcapture %}';
    const template = `{% assign s = "${'x'.repeat(32)}" %}{% for a in (1..22) %}${doubling}{% endfor %}`;
    const found = '{% if s contains "y" %}y{% endif %}';
    expect(refusal(() => renderText('plain', template + found, values))).toContain('memory alloc limit');
  });

  test('what belongs to no value itself is not reached', () => {
    const template =
      '[{{ event.constructor }}{{ event.__proto__ }}{{ tenant.name.constructor }}{{ event.toString }}{{ process }}{{ globalThis }}]';
    expect(renderText('html', template, values)).toBe('[]');
  });

  test('every value is escaped in HTML, and none in plain text', () => {
    expect(renderText('html', '{{ recipient.name }} {{ tenant.name }}', values)).toBe(
      '&lt;b&gt;Ann&lt;/b&gt; Acme &amp; Sons',
    );
    expect(renderText('plain', '{{ recipient.name }}', values)).toBe('<b>Ann</b>');
  });

  test('a subject is one line, whatever stands in it', () => {
    const rendered = render(
      { subject: 'a\r\nBcc: {{ recipient.name }}\u2028x', html: '', plain: '' },
      '{{ content }}',
      values,
    );
    expect(rendered.subject).toBe('a Bcc: <b>Ann</b> x');
    expect(render({ subject: 'x'.repeat(400), html: '', plain: '' }, '', values).subject).toHaveLength(255);
  });

  test('content stands in its layout as it is, and cannot name its place', () => {
    const rendered = render(
      { subject: 's', html: '<p>{{ content }}{{ event.number }}</p>', plain: 'p' },
      '<div>{{ content }}</div>',
      values,
    );
    expect(rendered.html).toBe('<div><p>INV-1</p></div>');
  });

  test('the host’s own texts can all be rendered, in each language', () => {
    expect(LOCALES).toEqual(['en', 'pl']);
    for (const texts of [en, pl])
      for (const name of TEMPLATE_NAMES) {
        const { subject, lines } = texts.templates[name];
        const template = {
          subject,
          html: lines.map((line) => `<p>${line}</p>`).join(''),
          plain: `${texts.greeting} ${lines.join(' ')}`,
        };
        const rendered = render(template, texts.layout, { ...values, subject: 'S', message: 'M' });
        expect(rendered.html, name).toContain('Acme &amp; Sons');
        expect(rendered.subject, name).not.toBe('');
      }
    expect(
      render({ subject: '{{ event.total_minor | money: event.currency }}', html: '', plain: '' }, '', values)
        .subject,
    ).toBe('12.50 USD');
  });
});
