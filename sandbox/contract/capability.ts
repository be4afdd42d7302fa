/** The shape of a capability's declaration; each stands in a file of its own in capabilities/. */
import type { GrantFields } from './grant.ts';
import type { Ops } from './op.ts';

export interface Capability<G extends GrantFields = GrantFields, O extends Ops = Ops> {
  readonly title: string;
  readonly doc: string;
  /** Font Awesome name for the consent page. */
  readonly icon: string;
  /** True for what every module has without asking: it reaches nothing but the module's own. */
  readonly inherent: boolean;
  readonly grant: G;
  readonly ops: O;
}

export function capability<const G extends GrantFields, const O extends Ops>(
  definition: Capability<G, O>,
): Capability<G, O> {
  return definition;
}
