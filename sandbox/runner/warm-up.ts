/**
 * What is done once, in a world that is thrown away, while the guest's snapshot is made: V8 keeps what it compiled for it, and no isolate
 * compiles that again. It is what a first call of an ordinary module goes through (in and out, a form that is checked, a query, a view), no
 * more: each isolate has the code in its memory.
 */
import type { InvocationInput } from '../contract/invocation.ts';
import { DOWN, inputText } from '../contract/wire.ts';

/** It is a module like any other: a test runs it, so that it does not fail unheard. */
export const WARM_UP = {
  script: `const { Plugin, json, rules, v } = require('bulkhead');
class WarmUp extends Plugin {
  run() {
    this.validate(v.object({ a: rules.text(), b: rules.email(), c: rules.integer() }), { a: 'a', b: 'a@b.cd', c: '5' });
    const rows = this.db.selectFrom('a').innerJoin('b', 'b.id', 'a.id').select(['a.c']).where('a.d', '=', 1);
    rows.orderBy('a.c').limit(1).compile();
    this.db.insertInto('a').values({ b: 1 }).returningAll().compile();
    this.db.updateTable('a').set({ b: 1 }).where('c', '=', 1).compile();
    this.db.deleteFrom('a').where('c', '=', 1).compile();
    this.view('list', { rows: [1] });
    return json({});
  }
}
module.exports = { default: WarmUp, controllers: {} };`,
  views: {
    'list.liquid':
      "{% for row in rows %}{% if row > 0 %}{{ row | escape }}{% else %}{{ 'none' | t }}{% endif %}{% endfor %}",
  },
} as const;

const INPUT: InvocationInput = {
  shared: {
    module: { type: 'Plugin', name: 'WarmUp', version: '1.0.0' },
    capabilities: ['db', 'logs', 'views'],
    config: {},
    secrets: {},
    tenant: { uuid: '', name: '', locale: 'en', currency: 'USD', timezone: 'UTC' },
    locale: 'en',
    asset_base: '/',
    webhook_url: null,
  },
  context: {
    auth: null,
    product: null,
    service: null,
    instance: null,
    pay: null,
    task: null,
    from_version: null,
    now: 0,
    seed: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
  },
  calls: [{ target: { on: 'module' }, method: 'run', args: [] }],
};

/** A script. @param wake the expression that hardens the world and gives the guest's functions */
export function warmUp(wake: string): string {
  const resources = { views: WARM_UP.views, lang: {} };
  const parameters = (...values: readonly unknown[]): string =>
    values.map((value) => JSON.stringify(value)).join(', ');
  return `{
    const guest = ${wake};
    guest.define(${parameters('Plugin/WarmUp', WARM_UP.script, JSON.stringify(resources))});
    guest.enter(${parameters(DOWN.invoke, 1, '', inputText(INPUT))});
    guest.collect();
  }`;
}
