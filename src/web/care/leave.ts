/**
 * Out of the panel to where a module signs somebody on. By a page and not by a status: the policy of our forms lets none lead to another
 * site. The address is worth a session there: it stands in no log of ours, and the page it leads to is not told where it came from.
 */
import type { AccountContext } from '../env.ts';
import { accountPage, type Panel } from '../panel.ts';

export async function leavePage(panel: Panel, c: AccountContext, url: string): Promise<Response> {
  const { href, host } = new URL(url);
  c.header('Refresh', `0;url=${href}`);
  c.header('Referrer-Policy', 'no-referrer');
  return accountPage(panel, c, 'care/leave', { title: c.get('t')('care.sign_on'), to: href, host });
}
