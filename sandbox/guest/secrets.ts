/** `this.secrets`: what can be done with a secret by its name. The value never comes here; the host computes. */
import type { Env } from './env.ts';
import { encodeBase64 } from './web/base64.ts';
import { encodeUtf8 } from './web/encoding.ts';

export type HmacAlgorithm = 'sha1' | 'sha256' | 'sha512';

export interface Secrets {
  /**
   * Stores a value under a name the manifest declares, or under `name.row` for a row of the module's own, bound to exact hosts.
   * @returns its handle, which may be kept in the row
   */
  put(name: string, value: string, options?: { readonly hosts: readonly string[] }): Promise<string>;
  /** Removes the secret of a row. */
  remove(name: string): Promise<void>;
  /** HMAC of a text or of bytes under a secret, in lower-case hex. */
  hmac(name: string, message: string | Uint8Array, algorithm?: HmacAlgorithm): Promise<string>;
  /** Compares in constant time; false for anything that is no such HMAC. */
  verifyHmac(
    name: string,
    message: string | Uint8Array,
    hex: string,
    algorithm?: HmacAlgorithm,
  ): Promise<boolean>;
}

function base64(message: string | Uint8Array): string {
  return encodeBase64(typeof message === 'string' ? encodeUtf8(message) : message);
}

export function createSecrets(env: Env): Secrets {
  return {
    put: async (name, value, options) =>
      (
        await env.call('secrets', 'put', {
          name,
          value,
          ...(options === undefined ? {} : { hosts: [...options.hosts] }),
        })
      ).handle,
    remove: async (name) => {
      await env.call('secrets', 'remove', { name });
    },
    hmac: async (name, message, algorithm = 'sha256') =>
      (await env.call('secrets', 'hmac', { name, algorithm, base64: base64(message) })).hex,
    verifyHmac: async (name, message, hex, algorithm = 'sha256') =>
      (await env.call('secrets', 'verifyHmac', { name, algorithm, base64: base64(message), hex })).valid,
  };
}
