/** The pieces the page is made of: a table, a button that is a form, the fields every form carries. */
import { html } from 'hono/html';
import type { Cloud } from './cloud.ts';

export type Html = ReturnType<typeof html>;
export type Cell = string | number | Html;

export function table(caption: string, heads: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  if (rows.length === 0) return html`<p class="empty">${caption}: none yet.</p>`;
  return html`<table>
    <caption>
      ${caption}
    </caption>
    <thead>
      <tr>
        ${heads.map((head) => html`<th scope="col">${head}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (cells) =>
          html`<tr>
            ${cells.map((cell) => html`<td>${cell}</td>`)}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

export function button(cloud: Cloud, fields: Readonly<Record<string, string>>, label: string): Html {
  return html`<form method="post" action="/_page">${hidden(cloud, fields)}<button>${label}</button></form>`;
}

export function hidden(cloud: Cloud, fields: Readonly<Record<string, string>>): Html[] {
  const all = { token: cloud.options.controlToken, ...fields };
  return Object.entries(all).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  );
}
