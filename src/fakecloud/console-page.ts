/** The address a droplet's console opens at: a page behind a token that lasts some minutes, as real consoles have it. */
import { Hono } from 'hono';
import { html } from 'hono/html';
import type { DropletStore } from './droplet-store.ts';
import type { CloudEnv } from './env.ts';
import { FAKECLOUD_LIMITS } from './limits.ts';
import { freshToken } from './secrets.ts';

export class Consoles {
  readonly #open = new Map<string, { readonly dropletId: number; readonly untilMs: number }>();

  open(dropletId: number, origin: string): string {
    this.#forgetOld();
    const token = freshToken('con_');
    this.#open.set(token, { dropletId, untilMs: Date.now() + FAKECLOUD_LIMITS.consoleMs });
    return `${origin}/console/${token}`;
  }

  dropletOf(token: string): number | undefined {
    this.#forgetOld();
    return this.#open.get(token)?.dropletId;
  }

  #forgetOld(): void {
    const nowMs = Date.now();
    for (const [token, { untilMs }] of this.#open) if (untilMs < nowMs) this.#open.delete(token);
  }
}

export function consoleRoutes(store: DropletStore, consoles: Consoles): Hono<CloudEnv> {
  const app = new Hono<CloudEnv>();
  app.get('/:token', (c) => {
    const droplet = store.droplet(consoles.dropletOf(c.req.param('token')) ?? 0);
    if (droplet === undefined)
      return c.text('This console address has expired. Open the console again.', 404);
    return c.html(
      html`<!doctype html>
        <html lang="en">
          <meta charset="utf-8" />
          <title>Console of ${droplet.name}</title>
          <body style="background:#111;color:#9f9;font:16px/1.5 monospace;padding:1rem">
            <h1 style="font-size:1rem">${droplet.name} (${droplet.address}), fake cloud</h1>
            <pre>
${droplet.image.distribution} ${droplet.image.name}

${droplet.name} login: _</pre>
            <p>There is no machine behind this console: it is here to show that the link works.</p>
          </body>
        </html>`,
    );
  });
  return app;
}
