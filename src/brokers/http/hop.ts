/**
 * One request of the chain that redirects make, and all checks it has to pass: every hop is a new request with nothing taken
 * for granted from the one before.
 */
import * as v from 'valibot';

import type { Grant, OpArgument } from '../../../sandbox/contract/capabilities.ts';
import { isRowName } from '../../../sandbox/contract/capabilities/secrets.ts';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { refusal } from '../../../sandbox/contract/grant.ts';
import { handlesIn } from '../../secrets/handle.ts';
import type { OpenSecrets, Secret } from '../../secrets/vault.ts';
import type { Scope } from '../broker.ts';
import { checkFilled } from './headers.ts';
import type { HeaderList } from './headers.ts';
import { HTTP_LIMITS } from './limits.ts';
import type { RequestRate } from './rate.ts';
import { fillBody, fillHeaders, fillUrl, mayGoTo, secretOf } from './substitution.ts';
import { describeTarget, matchingPattern, parseTarget } from './target.ts';
import type { Target } from './target.ts';

export type HttpMethod = OpArgument<'http', 'request'>['method'];

/** Requests that carry no body and change nothing. */
export const BODILESS: ReadonlySet<HttpMethod> = new Set(['GET', 'HEAD']);

/** A request as the module wrote it, with handles. `isFollowed`: its URL came from an answer and is taken literally. */
export interface Hop {
  readonly method: HttpMethod;
  readonly url: string;
  readonly headers: HeaderList;
  readonly body: Buffer | undefined;
  readonly isFollowed: boolean;
}

/** The same with the values in, allowed to leave for its target. */
export interface CheckedHop {
  readonly target: Target;
  readonly method: HttpMethod;
  readonly headers: HeaderList;
  readonly body: Buffer | undefined;
}

export interface HopContext {
  readonly scope: Scope;
  readonly grant: Grant<'http'>;
  readonly secrets: OpenSecrets;
  readonly rate: RequestRate;
}

const SecretsGrant = v.object({
  names: v.record(v.string(), v.object({ title: v.string(), hosts: v.array(v.string()) })),
});

function secretsGrant(scope: Scope): Grant<'secrets'> | undefined {
  const parsed = v.safeParse(SecretsGrant, scope.grants['secrets']);
  return parsed.success ? parsed.output : undefined;
}

/** The URL with values in. A followed one is literal, but an answer may have written a value into it. */
function urlOf(hop: Hop, secrets: OpenSecrets): { text: string; used: readonly Secret[] } {
  if (hop.isFollowed) {
    const used = secrets.redactor.found(hop.url).map((handle) => secretOf(secrets.byHandle, handle));
    return { text: hop.url, used };
  }
  const filled = fillUrl(hop.url, secrets.byHandle);
  return { text: filled.value, used: filled.used };
}

/** Names the host, unless the host itself comes out of a secret. */
function hostName(hop: Hop, target: Target, secrets: OpenSecrets): string {
  const authority = /^(?:[^/?#]*:\/\/)?[^/?#]*/.exec(hop.url)?.[0] ?? '';
  if (!hop.isFollowed && handlesIn(authority).length > 0) return 'the host of this address';
  return `host ${secrets.redactor.text(describeTarget(target))}`;
}

function checkGrant(hop: Hop, target: Target, context: HopContext): void {
  const { scope, grant, secrets, rate } = context;
  const pattern = matchingPattern(target, grant.hosts, scope.settings);
  if (pattern === undefined) throw refusal('http', hostName(hop, target, secrets), 'http.hosts');
  if (!grant.methods.includes(hop.method)) throw refusal('http', `method ${hop.method}`, 'http.methods');
  rate.take(scope.installationId, grant.per_minute);
  scope.used(`http.hosts:${pattern}`);
  scope.used(`http.methods:${hop.method}`);
}

function checkSecrets(hop: Hop, target: Target, used: readonly Secret[], context: HopContext): void {
  const { scope, secrets } = context;
  const granted = secretsGrant(scope);
  for (const secret of used) {
    if (!mayGoTo(secret, target, granted, scope.settings)) {
      const name = hostName(hop, target, secrets);
      throw refusal('http', `sending secret ${secret.name} to ${name}`, `secrets.${secret.name}.hosts`);
    }
    if (!isRowName(secret.name)) scope.used(`secrets.names:${secret.name}`);
  }
}

/**
 * Fills a hop and checks where it goes: URL, host, method, rate, secrets, sizes. Nothing is resolved or sent yet.
 * @throws HostError BAD_INPUT, NOT_GRANTED, NOT_FOUND, LIMIT
 */
export function checkHop(hop: Hop, context: HopContext): CheckedHop {
  const { byHandle } = context.secrets;
  const url = urlOf(hop, context.secrets);
  const target = parseTarget(url.text);
  checkGrant(hop, target, context);
  const headers = fillHeaders(hop.headers, byHandle);
  const body = hop.body === undefined ? undefined : fillBody(hop.body, hop.headers, byHandle);
  checkSecrets(hop, target, [...url.used, ...headers.used, ...(body?.used ?? [])], context);
  checkFilled(headers.value);
  if (body !== undefined && body.value.length > HTTP_LIMITS.requestBytes)
    throw new HostError('LIMIT', `http: a request's body has at most ${HTTP_LIMITS.requestBytes} bytes.`);
  return { target, method: hop.method, headers: headers.value, body: body?.value };
}
