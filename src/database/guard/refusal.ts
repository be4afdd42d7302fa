/** The one way the guard says no: a closed code, the thing that is refused, and what to write instead. */
import { HostError } from '../../../sandbox/contract/envelope.ts';

export function refused(what: string, instead: string): HostError {
  return new HostError('DB_REFUSED', `db: ${what} is refused. ${instead}`);
}
