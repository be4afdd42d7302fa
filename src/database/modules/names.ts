/**
 * What an installation is called in the modules' database. Roles belong to the whole server, so their names carry the deployment:
 * two Bulkheads may share one PostgreSQL.
 */
import { HostError } from '../../../sandbox/contract/envelope.ts';

/** `owner` makes and changes tables for activate() and update(); `login` reads and writes rows for everything else. */
export interface InstallationNames {
  readonly schema: string;
  readonly owner: string;
  readonly login: string;
}

const DEPLOYMENT = /^[a-z0-9]{1,12}$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * @param deploymentId 1 to 12 lower case letters and digits, the same for ever
 * @param installationId a uuid
 * @throws HostError BAD_INPUT for anything else: the names go into SQL
 */
export function installationNames(deploymentId: string, installationId: string): InstallationNames {
  if (!DEPLOYMENT.test(deploymentId)) {
    throw new HostError('BAD_INPUT', 'A deployment id is 1 to 12 lower case letters and digits.');
  }
  if (!UUID.test(installationId))
    throw new HostError('BAD_INPUT', 'An installation id is a uuid in lower case.');
  const id = installationId.replaceAll('-', '');
  const role = `bh_${deploymentId}_${id}`;
  return { schema: `m_${id}`, owner: `${role}_own`, login: `${role}_use` };
}
