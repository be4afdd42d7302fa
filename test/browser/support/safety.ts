/** What would be wrong with a page of the panel, as texts: a header that is missing, something inline, a stranger's markup that became markup. */
import type { Page, Response } from 'playwright-core';
import * as v from 'valibot';

const Texts = v.array(v.string());
const HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
};
const POLICY = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
];

/** Evaluated by the debugger: pages forbid eval to everybody else. */
async function textsOf(page: Page, expression: string): Promise<string[]> {
  const found: unknown = await page.evaluate(expression);
  return v.parse(Texts, found);
}

function headerFaults(headers: Readonly<Record<string, string>>): string[] {
  const policy = (headers['content-security-policy'] ?? '').split('; ');
  return [
    ...Object.entries(HEADERS).flatMap(([name, value]) =>
      headers[name] === value ? [] : [`${name}: ${headers[name]}`],
    ),
    ...POLICY.filter((part) => !policy.includes(part)).map((part) => `no ${part}`),
    ...policy.filter((part) => /unsafe|\*|https?:(?:$|\s)/.test(part)),
  ];
}

/** What of a page's source a content policy would have to forgive. Read from the bytes: scripts of ours set heights later on. */
function inlineParts(page: Page, html: string): Promise<string[]> {
  return textsOf(
    page,
    `{
      const parsed = new DOMParser().parseFromString(${JSON.stringify(html)}, 'text/html');
      const isBad = ({ name, value }) => name.startsWith('on') || name === 'style' || /^\\s*javascript:/i.test(value);
      [
        ...[...parsed.querySelectorAll('*')].flatMap((element) =>
          [...element.attributes].filter(isBad).map(({ name }) => 'inline ' + element.localName + ' ' + name)),
        ...[...parsed.querySelectorAll('style, script:not([src])')].map(({ localName }) => 'inline ' + localName),
      ]
    }`,
  );
}

/** What is wrong with a page that was just opened; empty if nothing is. */
export async function faultsOf(page: Page, response: Response | null): Promise<string[]> {
  if (response === null) return ['no answer'];
  return [
    ...headerFaults(response.headers()),
    ...(await inlineParts(page, await response.text())),
    ...(await markupOf(page)),
  ];
}

/** Elements that a stranger's text became, and scripts that ran. */
export function markupOf(page: Page): Promise<string[]> {
  return textsOf(
    page,
    `[
      ...[...document.querySelectorAll('[data-injected]')].map((element) => 'markup from ' + element.dataset.injected),
      ...(globalThis.pwned === undefined ? [] : ['a script ran']),
    ]`,
  );
}

/** Where a page leads, without places inside it. */
export function hrefsOf(page: Page): Promise<string[]> {
  return textsOf(
    page,
    "[...document.querySelectorAll('a[href]:not([hreflang])')].map((link) => link.href.split('#')[0])",
  );
}

/** All that a person reads on a page, closed details included: texts, fields, choices. */
export async function shownText(page: Page): Promise<string> {
  const texts = await textsOf(
    page,
    `{
      for (const part of document.querySelectorAll('details')) part.open = true;
      [
        document.body.innerText,
        ...[...document.querySelectorAll('input, textarea')].map((field) => field.value + ' ' + field.placeholder),
        ...[...document.querySelectorAll('option')].map((option) => option.textContent),
      ]
    }`,
  );
  return texts.join('\n');
}
