/**
 * The runner process: no environment, no files but its staging folder, no children, no network. Descriptor 3 is the socket to
 * the supervisor, descriptor 4 the place where the invocation that is being entered is noted. It ends when the socket does.
 * Started with "snapshot" instead, it writes a snapshot of an isolate with the guest to its standard output and ends, and with "try" it
 * starts one isolate: that is how the staging folder gets its snapshot, without the host ever holding an isolate.
 */
import { readFileSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { LIMITS } from '../contract/limits.ts';
import { frameReader, frameWriter, UP } from '../contract/wire.ts';
import { type GuestProgram, guestProgram, snapshotGuest, tryGuest } from './isolate.ts';
import { createRunner } from './runner.ts';

const SOCKET_FD = 3;
const MARK_FD = 4;
const PROTOCOL_ERROR = 70;

const readScript = (): string => readFileSync(new URL('./guest.js', import.meta.url), 'utf8');
const readProgram = (): GuestProgram =>
  guestProgram(readFileSync(new URL('./guest.snapshot', import.meta.url)), readScript);

if (process.argv[2] === 'snapshot') process.stdout.write(snapshotGuest(readScript()));
else if (process.argv[2] === 'try') tryGuest(readProgram());
else run();

function run(): void {
  const socket = new Socket({ fd: SOCKET_FD, readable: true, writable: true });
  const send = frameWriter((chunk) => socket.write(chunk));
  const markBytes = Buffer.alloc(4);
  const runner = createRunner(readProgram(), {
    send,
    mark(invocation) {
      markBytes.writeUInt32LE(invocation);
      writeSync(MARK_FD, markBytes, 0, 4, 0);
    },
  });
  const read = frameReader(LIMITS.messageBytes + LIMITS.outboxBytes, (frame) => runner.receive(frame));

  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    process.exit(PROTOCOL_ERROR);
  });
  socket.on('data', read);
  socket.on('close', () => process.exit(0));
  socket.on('error', () => process.exit(0));
  send(UP.ready, 0, '', '');
}
