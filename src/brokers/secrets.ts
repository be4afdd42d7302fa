/**
 * secrets: storing a value and computing with it. There is no op that reads one. Putting values into requests is the http broker's work
 * (http/substitution.ts).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

import type { Grant } from '../../sandbox/contract/capabilities.ts';
import { isRowName } from '../../sandbox/contract/capabilities/secrets.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import type { Vault } from '../secrets/vault.ts';
import type { Broker, Scope } from './broker.ts';

export interface SecretsBrokerDeps {
  readonly vault: Pick<Vault, 'put' | 'open' | 'remove'>;
}

interface HmacInput {
  readonly name: string;
  readonly algorithm: 'sha1' | 'sha256' | 'sha512';
  readonly base64: string;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const HEX = /^[0-9a-f]*$/i;

function checkGranted(scope: Scope, grant: Grant<'secrets'>, name: string): void {
  if (!Object.hasOwn(grant.names, name)) throw refusal('secrets', `secret ${name}`, 'secrets');
  scope.used(`secrets.names:${name}`);
}

/** A declared secret is bound by its grant; one of a row by the hosts given, each of which is asked for again by http when it is used. */
function checkBinding(
  scope: Scope,
  grant: Grant<'secrets'>,
  name: string,
  hosts: readonly string[] | undefined,
): void {
  if (!isRowName(name)) {
    checkGranted(scope, grant, name);
    if (hosts !== undefined)
      throw new HostError('BAD_INPUT', `secrets: ${name} goes to the hosts of its grant; leave out hosts.`);
  } else if (hosts === undefined)
    throw new HostError('BAD_INPUT', `secrets: say with {hosts: […]} where ${name} may be sent.`);
}

export function createSecretsBroker({ vault }: SecretsBrokerDeps): Broker<'secrets'> {
  async function hmac(scope: Scope, grant: Grant<'secrets'>, input: HmacInput): Promise<Buffer> {
    checkGranted(scope, grant, input.name);
    if (!BASE64.test(input.base64)) throw new HostError('BAD_INPUT', 'secrets: the message must be base64.');
    const { byHandle } = await vault.open(scope);
    const secret = [...byHandle.values()].find(({ name }) => name === input.name);
    if (secret === undefined)
      throw new HostError(
        'NOT_FOUND',
        `secrets: ${input.name} has no value yet; it is entered in the settings.`,
      );
    return createHmac(input.algorithm, secret.value).update(Buffer.from(input.base64, 'base64')).digest();
  }

  return {
    async put(scope, { name, value, hosts }, grant) {
      checkBinding(scope, grant, name, hosts);
      return { handle: await vault.put(scope, name, value, hosts) };
    },
    async remove(scope, { name }) {
      await vault.remove(scope, name);
      return {};
    },
    async hmac(scope, input, grant) {
      return { hex: (await hmac(scope, grant, input)).toString('hex') };
    },
    async verifyHmac(scope, input, grant) {
      const expected = await hmac(scope, grant, input);
      const given = HEX.test(input.hex) ? Buffer.from(input.hex, 'hex') : Buffer.alloc(0);
      return { valid: given.length === expected.length && timingSafeEqual(given, expected) };
    },
  };
}
