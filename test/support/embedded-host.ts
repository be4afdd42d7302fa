/** A host as another process, for embedded.ts: starts PostgreSQL on the given directory, prints its pid, and waits. */
import { startEmbedded } from '../../src/database/embedded/start.ts';
import { FAST } from './embedded.ts';

const postgres = await startEmbedded({ dataDir: process.argv[2] ?? '', settings: FAST });
process.stdout.write(`${postgres.pid}\n`);
setInterval(() => undefined, 60_000);
