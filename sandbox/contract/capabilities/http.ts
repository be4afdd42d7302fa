/** http: requests to granted hosts only. The host parses the URL itself, resolves once, and connects to the address it checked. */
import * as v from 'valibot';
import { capability } from '../capability.ts';
import { hostInWords, HostPatternText, patternCovers } from '../host-pattern.ts';
import { LIMITS } from '../limits.ts';
import { op } from '../op.ts';

export const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
export const Headers = v.array(v.tuple([v.string(), v.string()]));
/** A body as text, or as base64 when it is no text. */
export const Body = v.union([v.object({ text: v.string() }), v.object({ base64: v.string() })]);

export const http = capability({
  title: 'Network requests',
  doc: 'Call web services at the hosts you allow.',
  icon: 'globe',
  inherent: false,
  grant: {
    hosts: {
      sort: 'list',
      doc: 'host[:port] patterns; https unless http:// is written; {settings.field} for an address from the settings.',
      risk: 'medium',
      item: HostPatternText,
      words: (host: string) => `Send requests to ${hostInWords(host)}.`,
      covers: patternCovers,
    },
    methods: {
      sort: 'list',
      doc: 'Request methods.',
      risk: 'low',
      item: v.picklist(HTTP_METHODS, `one of ${HTTP_METHODS.join(', ')} is expected.`),
      words: (method: string) =>
        method === 'GET' || method === 'HEAD'
          ? `Read with ${method} requests.`
          : `Change things there with ${method} requests.`,
      fallback: ['GET', 'POST'],
    },
    per_minute: {
      sort: 'amount',
      doc: 'Requests a minute.',
      risk: 'low',
      unit: 'requests a minute',
      fallback: 60,
      max: 6_000,
      words: (n: number) => `At most ${n} requests a minute.`,
    },
  },
  ops: {
    requestHost: op(
      'Asks the admin for a host that is not in the grant, once; the answer stays. https unless `scheme` says otherwise.',
      v.object({
        host: v.pipe(v.string(), v.minLength(1), v.maxLength(253)),
        port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
        scheme: v.optional(v.picklist(['https', 'http']), 'https'),
      }),
      v.object({ status: v.picklist(['asked', 'confirmed', 'refused']) }),
    ),
    request: op(
      'Sends one request and returns the whole answer. `step` is set while a job’s step runs: the answer is journalled first.',
      v.object({
        method: v.picklist(HTTP_METHODS),
        url: v.pipe(v.string(), v.maxLength(8_192)),
        headers: v.optional(Headers, []),
        body: v.optional(Body),
        timeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(LIMITS.httpTotalMs))),
        /** Until the connection stands; part of timeoutMs. */
        connectTimeoutMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(LIMITS.httpTotalMs))),
        redirect: v.optional(v.picklist(['follow', 'manual', 'error']), 'follow'),
        step: v.optional(v.object({ name: v.string(), number: v.number() })),
      }),
      v.object({
        status: v.number(),
        statusText: v.string(),
        headers: Headers,
        body: Body,
        url: v.string(),
        redirected: v.boolean(),
      }),
    ),
  },
});
