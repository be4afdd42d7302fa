/**
 * net: whether a server answers, and how fast. The module learns milliseconds or why not; no byte of its own is sent and none comes back, so
 * this cannot be used to talk to anything. The rules for addresses are those of http.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { LIMITS } from '../limits.ts';
import { mailServerCovers, mailServerInWords, MailServerText } from '../mail-server.ts';
import { op } from '../op.ts';

const Host = v.pipe(v.string(), v.minLength(1), v.maxLength(253));
export const Port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const TimeoutMs = v.optional(
  v.pipe(v.number(), v.minValue(1), v.maxValue(LIMITS.netConnectMs)),
  LIMITS.netConnectMs,
);
const Answered = v.object({ ms: v.number() });
export const HostRequestStatus = v.picklist(['asked', 'confirmed', 'refused']);

export const net = capability({
  title: 'Reachability',
  doc: 'See whether servers answer, and how fast, without talking to them.',
  icon: 'satellite-dish',
  inherent: false,
  grant: {
    hosts: {
      sort: 'list',
      doc: 'Servers as host:port; {settings.field}:port for one from the settings. Others may be asked for while it runs.',
      risk: 'medium',
      item: MailServerText,
      words: (server: string) => `See whether ${mailServerInWords(server)} answers.`,
      covers: mailServerCovers,
    },
    ping: {
      sort: 'switch',
      doc: 'Ping hosts it may reach: by a TCP connection, where a refusal counts as an answer.',
      risk: 'low',
      words: () => 'Ping the servers that it may reach.',
    },
    per_minute: {
      sort: 'amount',
      doc: 'Connections a minute.',
      risk: 'low',
      unit: 'connections a minute',
      fallback: 60,
      max: 6_000,
      words: (n: number) => `At most ${n} connections a minute.`,
    },
  },
  ops: {
    connect: op(
      'Opens a TCP connection and closes it again. Answers how long it took.',
      v.object({ host: Host, port: Port, timeoutMs: TimeoutMs }),
      Answered,
    ),
    ping: op(
      'Whether a host is up: a TCP connection to a port it is granted for. A refused one is an answer too. (ICMP needs rights that a host process should not have.)',
      v.object({ host: Host, timeoutMs: TimeoutMs }),
      Answered,
    ),
    requestHost: op(
      'Asks the admin for a server that is not in the grant, once; the answer stays.',
      v.object({ host: Host, port: Port }),
      v.object({ status: HostRequestStatus }),
    ),
  },
});
