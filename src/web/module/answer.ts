/** What a module answered, as a frame's document or as the panel's bridge hands it to the frame. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Context } from 'hono';
import type { ModuleResponse } from '../../../sandbox/contract/invocation.ts';
import { escapeHtml } from '../filters.ts';
import type { TenantEnv } from '../env.ts';
import { sendComplete } from '../headers.ts';
import type { Translate } from '../lang/texts.ts';
import type { Panel } from '../panel.ts';
import { frameHtml, frameNotice, sendFrame, type FrameOwner } from './frame-document.ts';

const OUTSIDE = /^https?:\/\//i;
const SAFE_NAME = /[^\w.() -]/g;
const NAME_CHARS = 120;

/** Only http(s) addresses lead outside; anything else with a scheme leads nowhere. */
export function isOutside(to: string): boolean {
  return OUTSIDE.test(to);
}

/** A path below the module's pages, without a slash in front; undefined if it is no such path. */
export function insidePath(to: string): string | undefined {
  const path = to.replace(/^\/+/, '');
  return /^[a-z][a-z0-9+.-]*:/i.test(path) ||
    path.includes('\\') ||
    path.split(/[?#]/)[0]?.split('/').includes('..')
    ? undefined
    : path;
}

/** A module's answer as the document of its frame. @param pages URL prefix of the module's pages, with a slash at its end */
export function showInFrame(
  panel: Panel,
  c: Context<TenantEnv>,
  owner: FrameOwner,
  response: ModuleResponse,
  pages: string,
): Response {
  if (response.kind === 'redirect') return redirectFrame(panel, c, owner, response.to, pages);
  return sendFrame(panel, c, owner, documentOf(response, c.get('t')));
}

function documentOf(response: Exclude<ModuleResponse, { kind: 'redirect' }>, t: Translate): string {
  if (response.kind === 'html') return response.html;
  if (response.kind === 'text') return `<pre>${escapeHtml(response.text)}</pre>`;
  if (response.kind === 'json')
    return `<pre>${escapeHtml(JSON.stringify(response.body, null, 2) ?? '')}</pre>`;
  return frameNotice(t('layout.frame_file'), t('layout.frame_file_text'));
}

/** Inside the module the frame goes on; an outside address waits for a click, which the panel asks about. */
function redirectFrame(
  panel: Panel,
  c: Context<TenantEnv>,
  owner: FrameOwner,
  to: string,
  pages: string,
): Response {
  const t = c.get('t');
  if (isOutside(to)) {
    const target = escapeHtml(to);
    const words = escapeHtml(t('layout.frame_go_to', { host: URL.parse(to)?.host ?? to }));
    const link = `<a class="btn btn-primary" href="${target}">${words}</a>`;
    return sendFrame(
      panel,
      c,
      owner,
      `<div class="notice"><p>${escapeHtml(t('layout.frame_leaves'))}</p>${link}</div>`,
    );
  }
  const inside = insidePath(to);
  if (inside === undefined)
    throw new HostError('BAD_OUTPUT', 'The module redirects to an address that is none.');
  return c.redirect(pages + inside, 303);
}

/** A module's answer for the bridge: data, never something a browser would run on our origin. */
export function tellBridge(
  panel: Panel,
  c: Context<TenantEnv>,
  owner: FrameOwner,
  response: ModuleResponse,
): Response {
  return sendComplete(c, JSON.stringify(dataOf(panel, owner, response)), panel.dataHeaders);
}

function dataOf(panel: Panel, owner: FrameOwner, response: ModuleResponse): object {
  const { kind, status } = response;
  if (kind === 'html') return { kind, status, html: frameHtml(panel, owner.versionId, response.html) };
  if (kind === 'json') return { kind, status, body: response.body ?? null };
  if (kind === 'text') return { kind, status, text: response.text };
  if (kind === 'redirect') return { kind, status, to: response.to };
  const filename = (response.filename ?? 'file').replace(SAFE_NAME, '_').slice(0, NAME_CHARS);
  return { kind, status, base64: response.base64, filename };
}
