import { Controller, json, type IncomingRequest, type Reply } from 'bulkhead';

interface Order {
  readonly who: string;
  readonly items: readonly { readonly qty: number; readonly price: number }[];
}

export default class BenchController extends Controller {
  async hello(request: IncomingRequest): Promise<Reply> {
    const order = (await request.json()) as Order;
    let sum = 0;
    for (const { qty, price } of order.items) sum += qty * price;
    return json({
      total: Math.round(sum * 100) / 100,
      lines: order.items.length,
      who: order.who.toUpperCase(),
    });
  }

  async call(request: IncomingRequest): Promise<Reply> {
    const order = (await request.json()) as Order;
    return json({ sealed: await this.crypt.encryptString(order.who) });
  }
}
