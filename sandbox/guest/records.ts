/** `this.service`, `this.clients` and `this.products`: what the host keeps, as far as the module may see it. Long lists come a page at a time. */
import type { OpInput, OpOutput } from '../contract/capabilities.ts';
import type { Env } from './env.ts';

export type Service = OpOutput<'service', 'get'>;
export type ListedService = OpOutput<'service', 'list'>['services'][number];
export type Relation = NonNullable<OpInput<'service', 'list'>['with']>[number];

/** The guide's Service::with([...]). */
export interface With {
  readonly with?: readonly Relation[];
}

export interface Services {
  get(uuid?: string): Promise<Service>;
  setProvisionStatus(
    status: OpInput<'service', 'setProvisionStatus'>['status'],
    uuid?: string,
  ): Promise<void>;
  setProvisionData(data: Record<string, unknown>, uuid?: string): Promise<void>;
  /** The oldest services of this module, up to `size`; for all of them use stream(). */
  list(options?: With, size?: number): Promise<ListedService[]>;
  /** All services of this module, oldest first, read `size` at a time. */
  stream(options?: With, size?: number): AsyncIterable<ListedService>;
}

export interface Clients {
  get(uuid: string): Promise<OpOutput<'clients', 'get'>>;
  list(size?: number): Promise<OpOutput<'clients', 'list'>['clients']>;
  stream(size?: number): AsyncIterable<OpOutput<'clients', 'get'>>;
}

export interface Products {
  get(uuid: string): Promise<OpOutput<'products', 'get'>>;
  list(size?: number): Promise<OpOutput<'products', 'list'>['products']>;
  stream(size?: number): AsyncIterable<OpOutput<'products', 'get'>>;
}

const PAGE_ROWS = 100;

interface PageOf<T> {
  readonly rows: readonly T[];
  readonly next: string | undefined;
}

/** Every row of a list that is read a page at a time. */
async function* pages<T>(read: (after: { after?: string }) => Promise<PageOf<T>>): AsyncIterable<T> {
  let after: string | undefined;
  do {
    const page = await read(after === undefined ? {} : { after });
    yield* page.rows;
    after = page.next;
  } while (after !== undefined);
}

const which = (uuid: string | undefined): { uuid?: string } => (uuid === undefined ? {} : { uuid });

export function createServices(env: Env): Services {
  const read = (options: With, size: number, after: { after?: string }) =>
    env.call('service', 'list', { size, with: [...(options.with ?? [])], ...after });
  return {
    get: (uuid) => env.call('service', 'get', which(uuid)),
    setProvisionStatus: async (status, uuid) => {
      await env.call('service', 'setProvisionStatus', { ...which(uuid), status });
    },
    setProvisionData: async (data, uuid) => {
      await env.call('service', 'setProvisionData', { ...which(uuid), data });
    },
    list: async (options = {}, size = PAGE_ROWS) => (await read(options, size, {})).services,
    stream: (options = {}, size = PAGE_ROWS) =>
      pages(async (after) => {
        const { services, next } = await read(options, size, after);
        return { rows: services, next };
      }),
  };
}

export function createClients(env: Env): Clients {
  return {
    get: (uuid) => env.call('clients', 'get', { uuid }),
    list: async (size = PAGE_ROWS) => (await env.call('clients', 'list', { size })).clients,
    stream: (size = PAGE_ROWS) =>
      pages(async (after) => {
        const { clients, next } = await env.call('clients', 'list', { size, ...after });
        return { rows: clients, next };
      }),
  };
}

export function createProducts(env: Env): Products {
  return {
    get: (uuid) => env.call('products', 'get', { uuid }),
    list: async (size = PAGE_ROWS) => (await env.call('products', 'list', { size })).products,
    stream: (size = PAGE_ROWS) =>
      pages(async (after) => {
        const { products, next } = await env.call('products', 'list', { size, ...after });
        return { rows: products, next };
      }),
  };
}
