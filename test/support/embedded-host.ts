/**
 * A host as another process, for embedded.ts: starts PostgreSQL on the given directory and prints its pid. Then it waits,
 * or with "leave" comes to its end without having stopped anything.
 */
import { startEmbedded } from '../../src/database/embedded/start.ts';
import { FAST } from './embedded.ts';

const postgres = await startEmbedded({ dataDir: process.argv[2] ?? '', settings: FAST });
process.stdout.write(`${postgres.pid}\n`);
if (process.argv[3] !== 'leave') setInterval(() => undefined, 60_000);
