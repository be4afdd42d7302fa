/**
 * Choices that a module looks up when a form is drawn (`options_from`): the images a provider has today, the rows of a table. The method
 * stands in the version's declaration; what it answers is bounded and parsed. A form whose choices cannot be loaded is drawn all the same,
 * with what was chosen before as the only choice, so that nothing is lost by saving it.
 */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { Field, Option } from '../../sandbox/contract/kinds/module.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import type { DrawnField } from '../web/deps.ts';
import { valueOf } from './answers.ts';
import type { InvokeOptions, Invoker } from './invoke.ts';

const Text = v.pipe(v.string(), v.maxLength(LIMITS.optionCharacters));
const Loaded = v.pipe(
  v.array(
    v.union([
      v.pipe(
        Text,
        v.transform((value) => ({ value, title: value })),
      ),
      v.object({ value: Text, title: Text }),
    ]),
  ),
  v.maxLength(LIMITS.fieldOptions),
);

/** With less left nothing is begun: what has to be stopped counts as the module's fault. */
const LEAST_MS = 1_000;

type At = Pick<InvokeOptions, 'installationId' | 'instanceId' | 'productId'>;

async function load(
  invoker: Invoker,
  at: At,
  method: string,
  wallMs: number,
): Promise<readonly Option[] | undefined> {
  if (wallMs < LEAST_MS) return undefined;
  try {
    const { results } = await invoker.invoke({
      ...at,
      purpose: 'request',
      calls: [{ target: { on: 'module' }, method, args: [] }],
      wallMs,
    });
    const parsed = v.safeParse(Loaded, valueOf(results[0]));
    return parsed.success ? parsed.output : undefined;
  } catch (error) {
    // Why stands in the module's log; the form must not hang on somebody else's service.
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

function keptOptions(value: unknown): Option[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  return values
    .filter((kept): kept is string => typeof kept === 'string' && kept !== '')
    .map((kept) => ({ value: kept, title: kept }));
}

/** The fields with the choices of each. @param kept the values stored now, which stay choosable when nothing can be loaded */
export async function withOptions(
  invoker: Invoker,
  at: At,
  fields: readonly Field[],
  kept: Readonly<Record<string, unknown>>,
): Promise<readonly DrawnField[]> {
  const drawn: DrawnField[] = [];
  // For all fields together: two hundred of them, each waiting as long as a page may, would take an hour.
  const endAt = performance.now() + LIMITS.optionsWallMs;
  for (const field of fields) {
    if (field.options_from === undefined) {
      drawn.push(field);
      continue;
    }
    const options = await load(invoker, at, field.options_from, endAt - performance.now());
    drawn.push(
      options === undefined
        ? { ...field, options: keptOptions(kept[field.key]), unloaded: true, required: false }
        : { ...field, options: [...options] },
    );
  }
  return drawn;
}
