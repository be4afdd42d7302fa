/**
 * `node src/fakecloud/main.ts`: a fake cloud as a process of its own. It says on one line where everything is, and lives
 * exactly as long as its standard input: a parent that ends, even by kill -9, takes it along, so none is ever left behind.
 */
import { readOptions } from './options.ts';
import { readyLine } from './ready.ts';
import { startFakeCloud } from './server.ts';

function leave(): void {
  process.exit(0);
}

process.stdin.on('end', leave).on('close', leave).on('error', leave).resume();
process.on('SIGINT', leave).on('SIGTERM', leave);
/** A parent that is gone cannot read the line either. */
process.stdout.on('error', leave);

try {
  process.stdout.write(readyLine(await startFakeCloud(readOptions(process.env))));
} catch (error) {
  process.stderr.write(`fake cloud: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
