/**
 * Loaded before a module's tests (`node --import`): 'bulkhead' and 'bulkhead/kit' mean this very program, wherever the module's folder lies
 * and whether or not something was installed there.
 */
import { registerHooks } from 'node:module';
import { extname } from 'node:path';

const EXTENSION = extname(import.meta.filename);

const OWN: Readonly<Record<string, string>> = {
  bulkhead: new URL(`../../sandbox/guest/index${EXTENSION}`, import.meta.url).href,
  'bulkhead/kit': new URL(`index${EXTENSION}`, import.meta.url).href,
};

registerHooks({
  resolve(specifier, context, next) {
    const own = Object.hasOwn(OWN, specifier) ? OWN[specifier] : undefined;
    return own === undefined ? next(specifier, context) : { url: own, shortCircuit: true };
  },
});
