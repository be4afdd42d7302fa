/**
 * The web standards a module sees as globals. An isolate has nothing but ECMAScript: all of this is ours. It is made once and frozen: what
 * belongs to an invocation (timers, randomness, fetch, the log) is kept with that invocation.
 */
import type { Env } from '../env.ts';
import { createAbort } from './abort.ts';
import { atob, btoa } from './base64.ts';
import { createConsole } from './console.ts';
import { createCrypto } from './crypto.ts';
import { DOMException } from './dom-exception.ts';
import { TextDecoder, TextEncoder } from './encoding.ts';
import { Event, EventTarget } from './event.ts';
import { createFetch } from './fetch.ts';
import { FormData } from './form-data.ts';
import { Headers } from './headers.ts';
import { Request } from './request.ts';
import { Response } from './response.ts';
import { structuredClone } from './structured-clone.ts';
import { createTimers } from './timers.ts';
import { URL, URLSearchParams } from './url.ts';

const SHARED = Object.freeze({
  URL,
  URLSearchParams,
  TextEncoder,
  TextDecoder,
  Headers,
  Request,
  Response,
  FormData,
  DOMException,
  Event,
  EventTarget,
  structuredClone,
  atob,
  btoa,
});

/** The globals of all invocations. Building them reads nothing from `env`, which speaks for whichever invocation runs. */
export function createWebGlobals(env: Env) {
  return {
    ...SHARED,
    ...createAbort(env),
    ...createTimers(env),
    fetch: createFetch(env),
    crypto: createCrypto(env),
    performance: Object.freeze({
      get timeOrigin() {
        return env.context.now;
      },
      now: () => Date.now() - env.context.now,
    }),
    console: createConsole(env),
  };
}

export type WebGlobals = ReturnType<typeof createWebGlobals>;
