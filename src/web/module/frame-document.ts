/**
 * The document in a module's frame. The boundary is the frame's opaque origin (sandbox without allow-same-origin, said by the iframe and
 * once more by the document's own policy); the policy lets it load nothing but its own version's assets and our kit, and lets it send
 * nothing anywhere: what it wants it asks of the panel through a MessagePort. Our kit is the first script there is.
 */
import type { Context } from 'hono';
import { completeHeaders, PERMISSIONS_POLICY, sendComplete } from '../headers.ts';
import { escapeHtml } from '../filters.ts';
import type { Panel } from '../panel.ts';

/** A module's HTML names its assets below this path; the host puts the version's own address there. */
export const ASSET_PLACEHOLDER = '/-assets-/';

/**
 * A content policy refuses requests, not connections: a browser opens one, and asks DNS for its name, for a navigation that will be
 * refused, and for WebRTC. Where this header is known nothing of that leaves either.
 */
const CONNECTIONS = '(response-origin)';

export interface FrameOwner {
  /** Scheme and host of the panel. */
  readonly origin: string;
  /** The version whose assets may be loaded. */
  readonly versionId: string;
}

function assetsPath(panel: Panel, versionId: string): string {
  return `${panel.site.base}/m/${versionId}/assets/`;
}

export function framePolicy(panel: Panel, owner: FrameOwner): string {
  const assets = owner.origin + assetsPath(panel, owner.versionId);
  const ours = `${owner.origin}${panel.site.base}/static/`;
  return [
    'sandbox allow-scripts allow-forms',
    "default-src 'none'",
    `script-src ${assets} ${owner.origin}${panel.files.url('frame-kit.js')}`,
    `style-src ${assets} ${ours}`,
    `img-src ${assets} data:`,
    `font-src ${assets} ${ours}`,
    "connect-src 'none'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'self'",
  ].join('; ');
}

/** Wraps a module's HTML. A whole document of its own works too: its html, head and body tags are ignored by the parser here. */
export function frameHtml(panel: Panel, versionId: string, html: string): string {
  const body = html
    .replaceAll(ASSET_PLACEHOLDER, assetsPath(panel, versionId))
    .replace(/^\s*<!doctype[^>]*>/i, '');
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">',
    '<title>Module</title>',
    `<script src="${panel.files.url('frame-kit.js')}"></script>`,
    `<link rel="stylesheet" href="${panel.files.url('fa/css/all.css')}"><link rel="stylesheet" href="${panel.files.url('module.css')}">`,
    `</head><body>${body}</body></html>`,
  ].join('');
}

/** What stands in a frame instead of the module's page. Text only. */
export function frameNotice(title: string, message: string): string {
  return `<div class="notice"><strong>${escapeHtml(title)}</strong><p>${escapeHtml(message)}</p></div>`;
}

/** Sends a frame's document with its headers. */
export function sendFrame(
  panel: Panel,
  c: Context,
  owner: FrameOwner,
  html: string,
  status: 200 | 403 | 404 | 500 | 502 | 503 = 200,
): Response {
  const headers = completeHeaders(panel.site.secure, {
    'content-type': 'text/html; charset=UTF-8',
    'content-security-policy': framePolicy(panel, owner),
    'referrer-policy': 'no-referrer',
    'x-dns-prefetch-control': 'off',
    'connection-allowlist': CONNECTIONS,
    'permissions-policy': PERMISSIONS_POLICY,
    'cross-origin-resource-policy': 'same-origin',
  });
  return sendComplete(c, frameHtml(panel, owner.versionId, html), headers, status);
}
