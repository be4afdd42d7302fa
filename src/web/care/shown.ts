/** What is known of a service beside its status, as its page shows it: metrics in words, the report, and what may be done. */
import type { OfService } from '../../care/care.ts';
import type { AccountContext } from '../env.ts';
import { labelOf } from '../filters.ts';
import { findText } from '../lang/texts.ts';
import type { Panel } from '../panel.ts';

/** From here on a bar warns. */
const NEARLY_PERCENT = 80;
const FULL_PERCENT = 95;

export async function shownCare(panel: Panel, c: AccountContext, input: OfService) {
  const care = await panel.deps.care.view(input);
  const numbers = new Intl.NumberFormat(c.get('tenant').locale, { maximumFractionDigits: 2 });
  const usage = care.usage?.map(({ key, title, value, limit, unit, percent }) => ({
    title: title ?? findText(c.get('lang'), `usage.${key}`) ?? labelOf(key),
    text: [
      limit === null ? numbers.format(value) : `${numbers.format(value)} / ${numbers.format(limit)}`,
      unit,
    ]
      .filter((part) => part !== '')
      .join(' '),
    percent,
    tone:
      percent === null || percent < NEARLY_PERCENT
        ? 'primary'
        : percent < FULL_PERCENT
          ? 'warning'
          : 'danger',
  }));
  return {
    ...care,
    usage,
    acts: care.buttons.length > 0 || care.password || care.signOn || care.reconcile,
  };
}
