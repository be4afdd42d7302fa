/**
 * secrets: values the module uses and never sees. It holds an opaque handle; the host puts the value in, on the way out,
 * towards the hosts the secret is bound to, and takes it out of whatever comes back.
 */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import type { NamedEntry } from '../grant.ts';
import { hostInWords } from '../host-pattern.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

const Name = v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]{0,39}$/));

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
      'Stores a value under a name the manifest declares; returns its handle.',
      v.object({ name: Name, value: v.pipe(v.string(), v.maxLength(LIMITS.secretBytes)) }),
      v.object({ handle: v.string() }),
    ),
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
