/**
 * A host as another process, for flows.test.ts: does one thing to an installation and kills itself with -9 at a checkpoint on the way.
 * Its own words, on one line of JSON: where the databases are, what to do and where to die.
 */
import * as v from 'valibot';
import { createBulkhead } from '../../src/host.ts';

const Order = v.object({
  dataDir: v.string(),
  databaseUrl: v.string(),
  modulesDatabaseUrl: v.string(),
  installationId: v.string(),
  accountId: v.string(),
  action: v.picklist(['enable', 'disable', 'purge']),
  dieAt: v.string(),
});

const order = v.parse(v.pipe(v.string(), v.parseJson(), Order), process.argv[2]);
/** Only its own doing is to be cut short, not what it finishes at its start. */
let armed = false;
const bulkhead = await createBulkhead({
  ...order,
  publicUrl: 'http://127.0.0.1:4300',
  env: {},
  checkpoint: async (name) => {
    if (armed && name === order.dieAt) process.kill(process.pid, 'SIGKILL');
  },
});
armed = true;
await bulkhead.panel.catalog[order.action](order.installationId, order.accountId);
process.stdout.write('it did not die\n');
await bulkhead.close();
