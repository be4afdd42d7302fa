/** Products of a module: the form from its typed fields (or its own page), its defaults and its checks, all by the module's own methods. */
import type { ModuleCall } from '../../sandbox/contract/invocation.ts';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { isPeriod, type Period } from '../billing/periods.ts';
import { storable } from '../database/storable.ts';
import type { Catalog, FormResult, ProductForm } from '../web/deps.ts';
import { readSaved, valueOf, type Saved } from './answers.ts';
import type { CatalogDeps } from './catalog.ts';
import { withOptions } from './field-options.ts';
import { checkFields } from './fields.ts';

const Json = v.record(v.string(), v.unknown());
const UNIQUE_VIOLATION = '23505';

export function onModule(method: string, ...args: unknown[]): ModuleCall {
  return { target: { on: 'module' }, method, args };
}

export function createProducts(deps: CatalogDeps): Pick<Catalog, 'productForm' | 'saveProduct'> {
  return {
    productForm: (installationId, productId) => productForm(deps, installationId, productId),
    saveProduct: (input) => saveProduct(deps, input),
  };
}

async function storedData(
  deps: CatalogDeps,
  installationId: string,
  productId: string | null,
): Promise<Readonly<Record<string, unknown>>> {
  if (productId === null) return {};
  const row = await deps.db
    .selectFrom('products')
    .select('data')
    .where('id', '=', productId)
    .where('installation_id', '=', installationId)
    .executeTakeFirstOrThrow();
  return v.parse(Json, row.data);
}

async function productForm(
  deps: CatalogDeps,
  installationId: string,
  productId: string | null,
): Promise<ProductForm> {
  const { version } = await deps.installations.get(installationId);
  const fields = version.declaration.product_fields;
  if (fields.length === 0 && version.declaration.own_methods.includes('getProductPage'))
    return { kind: 'html' };
  const stored = await storedData(deps, installationId, productId);
  const { results } = await deps.invoker.invoke({
    installationId,
    purpose: 'request',
    calls: [onModule('getProductData', stored)],
  });
  const values = v.safeParse(Json, valueOf(results[0]));
  return {
    kind: 'fields',
    fields: await withOptions(deps.invoker, { installationId }, fields, stored),
    values: values.success ? values.output : stored,
    secretsSet: [],
  };
}

/** Checks by the fields first, then by the module: it has the last word, and its data is what is stored. */
async function checkData(
  deps: CatalogDeps,
  installationId: string,
  productId: string | null,
  input: Readonly<Record<string, unknown>>,
): Promise<Saved> {
  const { version } = await deps.installations.get(installationId);
  const stored = await storedData(deps, installationId, productId);
  const declared = version.declaration.product_fields;
  const fields = await withOptions(deps.invoker, { installationId }, declared, stored);
  const checked = checkFields(fields, input);
  if (Object.keys(checked.errors).length > 0) return { ok: false, errors: checked.errors };
  const data = fields.length === 0 ? input : checked.values;
  const { results } = await deps.invoker.invoke({
    installationId,
    purpose: 'request',
    calls: [onModule('saveProductData', data)],
  });
  const saved = readSaved(results[0]);
  return saved.ok ? { ok: true, data: saved.data ?? data } : saved;
}

async function saveProduct(
  deps: CatalogDeps,
  input: Parameters<Catalog['saveProduct']>[0],
): Promise<FormResult<{ productId: string }>> {
  const own: Record<string, string[]> = {};
  if (input.name.trim() === '') own['name'] = ['A name is expected.'];
  if (input.prices.length === 0) own['prices'] = ['At least one price is expected.'];
  const saved = await checkData(deps, input.installationId, input.productId, input.data);
  if (!saved.ok)
    return {
      ok: false,
      errors: { ...own, ...saved.errors },
      ...(saved.message === undefined ? {} : { message: saved.message }),
    };
  if (Object.keys(own).length > 0) return { ok: false, errors: own };
  try {
    return { ok: true, productId: await writeProduct(deps, input, saved.data ?? {}) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === UNIQUE_VIOLATION)
      return { ok: false, errors: { name: ['Another product has this name.'] } };
    throw error;
  }
}

async function writeProduct(
  deps: CatalogDeps,
  input: Parameters<Catalog['saveProduct']>[0],
  data: Readonly<Record<string, unknown>>,
): Promise<string> {
  const row = {
    name: input.name.trim(),
    description: input.description,
    active: input.active,
    data: v.parse(Json, storable(data)),
    pay_first: input.payFirst ?? null,
    service_name: input.serviceName ?? '',
  };
  return deps.db.transaction().execute(async (trx) => {
    const product =
      input.productId === null
        ? await trx
            .insertInto('products')
            .values({ ...row, tenant_id: input.tenantId, installation_id: input.installationId })
            .returning('id')
            .executeTakeFirstOrThrow()
        : await trx
            .updateTable('products')
            .set(row)
            .where('id', '=', input.productId)
            .where('tenant_id', '=', input.tenantId)
            .returning('id')
            .executeTakeFirstOrThrow();
    await trx.deleteFrom('prices').where('product_id', '=', product.id).execute();
    for (const price of input.prices) {
      await trx
        .insertInto('prices')
        .values({
          product_id: product.id,
          period: periodOf(price.period),
          setup_minor: price.setupMinor,
          amount_minor: price.amountMinor,
        })
        .execute();
    }
    return product.id;
  });
}

function periodOf(text: string): Period {
  if (!isPeriod(text)) throw new HostError('BAD_INPUT', `"${text}" is no billing period.`);
  return text;
}
