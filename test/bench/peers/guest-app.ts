/** Hono in front of a guest that takes and gives JSON text. */
import { Hono } from 'hono';

export type Call = (method: 'hello' | 'call', json: string) => Promise<string>;

export function guestApp(call: Call): Hono {
  const app = new Hono();
  for (const method of ['hello', 'call'] as const)
    app.post(`/${method}`, async (c) =>
      c.body(await call(method, await c.req.text()), 200, { 'content-type': 'application/json' }),
    );
  return app;
}
