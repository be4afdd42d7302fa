/**
 * crypt: a module's own data, encrypted under a key that is derived for its installation and never leaves the host. The installation
 * is authenticated with the text, so what one sealed opens in no other, not even of the same tenant.
 */
import { HostError } from '../../sandbox/contract/envelope.ts';
import { CRYPT_PREFIX } from '../secrets/crypt-text.ts';
import type { Keyring } from '../secrets/keyring.ts';
import type { Broker } from './broker.ts';

const BASE64URL = /^[A-Za-z0-9_-]+$/;

export interface CryptBrokerDeps {
  readonly keyring: Keyring;
}

export function createCryptBroker({ keyring }: CryptBrokerDeps): Broker<'crypt'> {
  return {
    async encrypt(scope, { text }) {
      const sealed = keyring.seal('crypt', scope.installationId, Buffer.from(text, 'utf8'));
      return { sealed: CRYPT_PREFIX + sealed.toString('base64url') };
    },
    async decrypt(scope, { sealed }) {
      const body = sealed.slice(CRYPT_PREFIX.length);
      if (!sealed.startsWith(CRYPT_PREFIX) || !BASE64URL.test(body))
        throw new HostError('BAD_INPUT', 'crypt: this is no text that encryptString made.');
      return {
        text: keyring.open('crypt', scope.installationId, Buffer.from(body, 'base64url')).toString('utf8'),
      };
    },
  };
}
