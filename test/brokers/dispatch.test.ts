/** Deny by default, for every call that any capability has: without a grant no broker is asked. */
import { describe, expect, it } from 'vitest';
import { capabilities } from '../../sandbox/contract/capabilities.ts';
import type { Brokers, Scope } from '../../src/brokers/broker.ts';
import { dispatch } from '../../src/brokers/dispatch.ts';

const asked: string[] = [];
const answering = (capability: string) =>
  new Proxy(
    {},
    {
      get: (_target, op) => async () => {
        asked.push(`${capability}.${String(op)}`);
        return 'served';
      },
    },
  );
const NAMES = Object.keys(capabilities);
const brokers = Object.fromEntries(NAMES.map((name) => [name, answering(name)])) as unknown as Brokers;
const scope = (grants: Scope['grants']): Scope => ({ grants }) as Scope;
const calls = Object.entries(capabilities).flatMap(([name, { ops, inherent }]) =>
  Object.keys(ops).map((op) => ({ path: `${name}.${op}`, name, inherent })),
);

describe('a call', () => {
  it.each(calls)('$path without a grant is refused, unless everybody has it', async ({ path, inherent }) => {
    asked.length = 0;
    const call = dispatch(brokers, scope({}), path, {});
    if (inherent) expect(await call).toBe('served');
    else await expect(call).rejects.toMatchObject({ code: 'NOT_GRANTED' });
    expect(asked).toEqual(inherent ? [path] : []);
  });

  it.each(calls)('$path is served with one', async ({ path, name }) => {
    expect(await dispatch(brokers, scope({ [name]: {} }), path, {})).toBe('served');
  });

  it.each([
    'http',
    'http.',
    '.request',
    'http.constructor',
    'constructor.constructor',
    '__proto__.x',
    'toString',
    '',
  ])('of no capability is none: %j', async (path) => {
    const all = Object.fromEntries(NAMES.map((name) => [name, {}]));
    await expect(dispatch(brokers, scope(all), path, {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('has no grant by the name of something that every object has', async () => {
    const inherited = Object.create({ http: {} }) as Scope['grants'];
    await expect(dispatch(brokers, scope(inherited), 'http.request', {})).rejects.toMatchObject({
      code: 'NOT_GRANTED',
    });
  });
});
