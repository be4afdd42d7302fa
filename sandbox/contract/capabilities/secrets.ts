/**
 * secrets: values the module uses and never sees. It holds an opaque handle; the host puts the value in, on the way out,
 * towards the hosts the secret is bound to, and takes it out of whatever comes back.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import type { NamedEntry } from '../grant.ts';
import { hostInWords, parseHostPattern } from '../host-pattern.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

const Name = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,39}$/));
/** `server.42`: of one row of the module's own tables. No name in a manifest has a point. */
const RowName = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,39}\.[A-Za-z0-9_-]{1,60}$/));
const ExactHost = v.pipe(
  v.string(),
  v.maxLength(260),
  v.check((text) => parseHostPattern(text)?.wildcard === false, 'a host without a wildcard is expected'),
);

export function isRowName(name: string): boolean {
  return v.is(RowName, name);
}

export const secrets = capability({
  title: 'Secrets',
  doc: 'Use a secret without being able to read it.',
  icon: 'key',
  inherent: false,
  grant: {
    names: {
      sort: 'named',
      doc: 'Secrets by name, each with a title and the hosts it may be sent to.',
      risk: 'medium',
      words: (_name: string, entry: NamedEntry) =>
        `Use “${entry.title}”, sent only to ${entry.hosts.map(hostInWords).join(' and ') || 'nobody'}. It never sees the value.`,
    },
  },
  ops: {
    put: op(
      'Stores a value under a name the manifest declares, or under “name.row” for the hosts given; returns its handle.',
      v.object({
        name: v.union([Name, RowName], 'a name such as "api_key", or "server.42" for a row, is expected'),
        value: v.pipe(v.string(), v.maxLength(LIMITS.secretBytes)),
        hosts: v.optional(v.pipe(v.array(ExactHost), v.minLength(1), v.maxLength(LIMITS.secretHosts))),
      }),
      v.object({ handle: v.string() }),
    ),
    remove: op('Removes the secret of a row.', v.object({ name: RowName }), v.object({})),
    hmac: op(
      'HMAC of a message under a secret, as lower-case hex.',
      v.object({
        name: Name,
        algorithm: v.optional(v.picklist(['sha1', 'sha256', 'sha512']), 'sha256'),
        base64: v.string(),
      }),
      v.object({ hex: v.string() }),
    ),
    verifyHmac: op(
      'Compares an HMAC in constant time.',
      v.object({
        name: Name,
        algorithm: v.optional(v.picklist(['sha1', 'sha256', 'sha512']), 'sha256'),
        base64: v.string(),
        hex: v.string(),
      }),
      v.object({ valid: v.boolean() }),
    ),
  },
});
