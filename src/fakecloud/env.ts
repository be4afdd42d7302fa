/** What a request carries through the fake cloud's handlers: node's own request and response, and its line in the ledger. */
import type { HttpBindings } from '@hono/node-server';
import type { RequestEntry } from './ledger.ts';

export interface CloudEnv {
  Bindings: HttpBindings;
  Variables: { entry: RequestEntry };
}
