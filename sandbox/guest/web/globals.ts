/**
 * The web standards a module sees as globals. An isolate has nothing but ECMAScript: all of this is ours. What holds no state is made
 * once; what belongs to an invocation (timers, signals, randomness, fetch, the log) is made for each, and cheaply, since each request is one.
 */
import type { Env } from '../env.ts';
import { createAbort } from './abort.ts';
import { atob, btoa, decodeBase64 } from './base64.ts';
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

/** The globals of one invocation. Building them reads nothing from `env`: the seed is decoded when it is first needed. */
export function createWebGlobals(env: Env) {
  const startedAt = Date.now();
  return {
    ...SHARED,
    ...createAbort(env),
    ...createTimers(env),
    fetch: createFetch(env),
    crypto: createCrypto(() => decodeBase64(env.context.seed)),
    performance: Object.freeze({ timeOrigin: startedAt, now: () => Date.now() - startedAt }),
    console: createConsole(env),
  };
}

export type WebGlobals = ReturnType<typeof createWebGlobals>;
