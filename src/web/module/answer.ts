/** What a module answered, as a frame's document or as the panel's bridge hands it to the frame. */
import { HostError } from '../../../sandbox/contract/envelope.ts';
import type { Context } from 'hono';
import type { ModuleResponse } from '../../../sandbox/contract/invocation.ts';
import { escapeHtml } from '../filters.ts';
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
  return /^[a-z][a-z0-9+.-]*:/i.test(path) || path.includes('\\') || path.split(/[?#]/)[0]?.split('/').includes('..') ? undefined : path;
}

/** A module's answer as the document of its frame. @param pages URL prefix of the module's pages, with a slash at its end */
export function showInFrame(panel: Panel, c: Context, owner: FrameOwner, response: ModuleResponse, pages: string): Response {
  switch (response.kind) {
    case 'html':
      return sendFrame(panel, c, owner, response.html);
    case 'json':
      return sendFrame(panel, c, owner, `<pre>${escapeHtml(JSON.stringify(response.body, null, 2) ?? '')}</pre>`);
    case 'text':
      return sendFrame(panel, c, owner, `<pre>${escapeHtml(response.text)}</pre>`);
    case 'bytes':
      return sendFrame(panel, c, owner, frameNotice('A file', 'Open it with a link that has the download attribute.'));
    case 'redirect': {
      if (isOutside(response.to)) {
        const target = escapeHtml(response.to);
        const host = escapeHtml(URL.parse(response.to)?.host ?? response.to);
        return sendFrame(panel, c, owner, `<div class="notice"><p>This page leads to another site.</p><a class="btn btn-primary" href="${target}">Go to ${host}</a></div>`);
      }
      const inside = insidePath(response.to);
      if (inside === undefined) throw new HostError('BAD_OUTPUT', 'The module redirects to an address that is none.');
      return c.redirect(pages + inside, 303);
    }
  }
}

/** A module's answer for the bridge: data, never something a browser would run on our origin. */
export function tellBridge(panel: Panel, c: Context, owner: FrameOwner, response: ModuleResponse): Response {
  switch (response.kind) {
    case 'html':
      return c.json({ kind: 'html', status: response.status, html: frameHtml(panel, owner.versionId, response.html) });
    case 'json':
      return c.json({ kind: 'json', status: response.status, body: response.body ?? null });
    case 'text':
      return c.json({ kind: 'text', status: response.status, text: response.text });
    case 'redirect':
      return c.json({ kind: 'redirect', status: response.status, to: response.to });
    case 'bytes': {
      const filename = (response.filename ?? 'file').replace(SAFE_NAME, '_').slice(0, NAME_CHARS);
      return c.json({ kind: 'bytes', status: response.status, base64: response.base64, filename });
    }
  }
}
