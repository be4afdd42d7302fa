/** What products and orders must be. The guide's rules, in the ready-made words of 'bulkhead'. */
import { rules, v } from 'bulkhead';

export const LOCATIONS = ['us-east-1', 'us-west-1', 'eu-west-1'] as const;
const SSH_KEYS = 20;
const SSH_KEY_CHARACTERS = 1_000;
const PASSWORD_CHARACTERS = 64;

export const ProductRules = v.object({
  cpu_cores: rules.integer({ min: 1, max: 32 }),
  ram_mb: rules.integer({ min: 512, max: 65_536 }),
  disk_gb: rules.integer({ min: 10, max: 1_000 }),
  bandwidth_gb: rules.integer({ min: 100 }),
  location: rules.oneOf(LOCATIONS),
  backup_enabled: rules.boolean(),
});

/** A form sends one text with a key on each line; a program may send a list. */
const SshKeys = v.pipe(
  v.optional(v.union([v.string(), v.array(v.string())]), []),
  v.transform((keys) =>
    (typeof keys === 'string' ? keys.split(/[\r\n,]+/) : keys)
      .map((key) => key.trim())
      .filter((key) => key !== ''),
  ),
  v.array(
    v.pipe(v.string(), v.maxLength(SSH_KEY_CHARACTERS, `At most ${SSH_KEY_CHARACTERS} characters a key.`)),
  ),
  v.maxLength(SSH_KEYS, `At most ${SSH_KEYS} keys.`),
);

export const ServiceRules = v.object({
  hostname: rules.hostname(),
  image_id: rules.text(),
  ssh_keys: SshKeys,
  /** Left out, one is generated. Printable ASCII: other characters are typed differently in a console. */
  root_password: rules.nullable(
    v.pipe(
      rules.strongPassword(),
      v.maxLength(PASSWORD_CHARACTERS, `At most ${PASSWORD_CHARACTERS} characters.`),
      v.regex(/^[\x21-\x7e]+$/, 'Letters, digits and signs without spaces are expected.'),
    ),
  ),
});

export const SnapshotRules = v.object({ name: rules.text() });
