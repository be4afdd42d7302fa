/** The account that a mailed link stands for: one that works still, and of the very area whose page it opens. */
import type { LinkPurpose } from '../auth/links.ts';
import type { Panel } from './panel.ts';

/** Undefined for a token that works no more, or for another area's account. @param tenantId null: the operator's area */
export async function accountBehindLink(
  { deps: { auth, db } }: Panel,
  token: string,
  of: {
    readonly purpose: LinkPurpose;
    readonly kind: 'operator' | 'admin' | 'client';
    readonly tenantId: string | null;
  },
): Promise<{ readonly id: string } | undefined> {
  const id = await auth.links.find(token, of.purpose);
  if (id === undefined) return undefined;
  return db
    .selectFrom('accounts')
    .select('id')
    .where('id', '=', id)
    .where('kind', '=', of.kind)
    .where('tenant_id', 'is not distinct from', of.tenantId)
    .executeTakeFirst();
}
