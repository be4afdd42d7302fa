/**
 * redirect: hosts a client may be sent to, for example a payment page. Nothing is called: the module answers with a redirect, and the
 * panel compares its host with what is granted before it sends anybody there.
 */
import { capability } from '../capability.ts';
import { hostInWords, HostPatternText, patternCovers } from '../host-pattern.ts';

export const redirect = capability({
  title: 'Redirects',
  doc: 'Send your clients to other sites, for example to pay.',
  icon: 'arrow-up-right-from-square',
  inherent: false,
  grant: {
    hosts: {
      sort: 'list',
      doc: 'host[:port] patterns; https unless http:// is written; {settings.field} for an address from the settings.',
      risk: 'medium',
      item: HostPatternText,
      words: (host: string) => `Send your clients to ${hostInWords(host)}.`,
      covers: patternCovers,
    },
  },
  ops: {},
});
