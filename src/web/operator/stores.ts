/** Stores elsewhere: naming one, comparing and trusting the keys of its publishers, and what becomes of what is brought from it. */
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { STORE_API } from '../../stores/shape.ts';
import type { OperatorApp, OperatorContext } from '../env.ts';
import { checkForm, idFrom } from '../forms.ts';
import { withNote } from '../notes.ts';
import { operatorPage, type Panel } from '../panel.ts';
import { remoteName } from '../store/remote.ts';

const Policy = v.picklist(['review', 'publish']);
const StoreForm = v.object({
  name: v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'A name is needed.'),
    v.maxLength(60, 'Use at most 60 characters.'),
  ),
  url: v.pipe(v.string(), v.trim(), v.minLength(1, 'An address is needed.'), v.maxLength(300)),
  policy: Policy,
});
const PolicyForm = v.object({ policy: Policy });
const TrustForm = v.object({
  module: v.pipe(v.string(), v.maxLength(200)),
  fingerprint: v.pipe(v.string(), v.maxLength(100)),
  compared: v.literal('yes', 'Compare the fingerprint first.'),
});

export function remoteStorePages(app: OperatorApp, panel: Panel): void {
  const { stores, openStore } = panel.deps;
  const home = `${panel.site.base}/operator/stores`;

  const list = async (c: OperatorContext, form: object = {}, status?: 422): Promise<Response> => {
    const [rows, { offers, away }] = await Promise.all([stores.rows(), stores.offers()]);
    const shown = rows.map((row) => ({
      ...row,
      count: offers.filter(({ storeId }) => storeId === row.id).length,
      away: away.find(({ name }) => name === row.name)?.reason,
    }));
    const ownUrl = openStore === true ? panel.deps.publicUrl.replace(/\/$/, '') : '';
    return operatorPage(
      panel,
      c,
      'operator/stores',
      {
        title: c.get('t')('menu.stores'),
        stores: shown,
        ownUrl,
        ownApi: `${ownUrl}${STORE_API}/modules`,
        ...form,
      },
      status,
    );
  };

  app.get('/stores', (c) => list(c));
  app.post('/stores', async (c) => {
    const form = await checkForm(c, StoreForm);
    if (!form.ok) return list(c, { errors: form.errors, values: form.values }, 422);
    const added = await stores.add({ ...form.value, accountId: c.get('account').accountId });
    if (!added.ok) return list(c, { errors: added.errors, values: form.value }, 422);
    return c.redirect(withNote(`${home}/${added.storeId}`, 'store-added'), 303);
  });

  app.get('/stores/:id', async (c) => {
    const storeId = idFrom(c.req.param('id'));
    const [store, { offers, away }] = await Promise.all([stores.row(storeId), stores.offers(storeId)]);
    // One line for each key: a publisher's modules are all signed with one, and two keys are two strangers.
    const publishers = [
      ...new Map(offers.map((offer) => [`${offer.publisher} ${offer.publicKey}`, offer])).values(),
    ];
    return operatorPage(panel, c, 'operator/store', {
      title: store.name,
      crumb: { href: home, title: c.get('t')('menu.stores') },
      store,
      offers,
      publishers,
      away: away[0]?.reason,
    });
  });

  app.post('/stores/:id/policy', async (c) => {
    const storeId = idFrom(c.req.param('id'));
    const form = await checkForm(c, PolicyForm);
    if (!form.ok) throw new HostError('BAD_INPUT', 'Review or publish: there is no third way.');
    await stores.setPolicy({ storeId, policy: form.value.policy });
    return c.redirect(withNote(`${home}/${storeId}`, 'store-saved'), 303);
  });

  app.post('/stores/:id/remove', async (c) => {
    await stores.remove(idFrom(c.req.param('id')));
    return c.redirect(withNote(home, 'store-removed'), 303);
  });

  app.post('/stores/:id/trust', async (c) => {
    const storeId = idFrom(c.req.param('id'));
    const form = await checkForm(c, TrustForm);
    if (!form.ok)
      throw new HostError('BAD_INPUT', 'Compare the fingerprint, tick that you did, and send it again.');
    const [publisher = '', type = '', name = ''] = form.value.module.split('/');
    await stores.trust({
      storeId,
      name: remoteName({ publisher, type, name }),
      fingerprint: form.value.fingerprint,
    });
    return c.redirect(withNote(`${home}/${storeId}`, 'publisher-trusted'), 303);
  });
}
