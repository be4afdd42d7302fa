/** The limit: a plain Hono handler in process. */
import { Hono } from 'hono';
import { announce, hostWork, listen, type Order, targets } from './work.ts';

/** As GUEST in work.ts. */
async function hello(order: Order): Promise<object> {
  let sum = 0;
  for (const { qty, price } of order.items) sum += qty * price;
  return { total: Math.round(sum * 100) / 100, lines: order.items.length, who: order.who.toUpperCase() };
}

async function call(order: Order): Promise<object> {
  const { sealed } = await hostWork('encrypt', { text: order.who });
  return { sealed };
}

const app = new Hono();
app.post('/hello', async (c) => c.json(await hello(await c.req.json<Order>())));
app.post('/call', async (c) => c.json(await call(await c.req.json<Order>())));

announce({ ways: { 'plain Hono': targets(await listen(app.fetch)) } });
