/**
 * A request with the redirects it leads to, and, within a job's step, its place in the journal: noted before anything leaves, its
 * answer stored before the module sees it.
 */
import { createHash } from 'node:crypto';

import type { OpArgument } from '../../../sandbox/contract/capabilities.ts';
import type { OpenSecrets } from '../../secrets/vault.ts';
import { checkedAddresses } from './addresses.ts';
import type { Resolve } from './addresses.ts';
import { answerBody } from './body.ts';
import type { Deadline } from './deadline.ts';
import { exchange, ExchangeError } from './exchange.ts';
import type { RawAnswer } from './exchange.ts';
import { failed } from './failure.ts';
import { answerHeaders, headerOf } from './headers.ts';
import { BODILESS, checkHop } from './hop.ts';
import type { CheckedHop, Hop, HopContext } from './hop.ts';
import type { HttpAnswer, StepJournal, StepRequest } from './journal.ts';
import type { KeptConnections } from './kept.ts';
import type { HttpLimits } from './limits.ts';
import { nextHop, redirectLocation } from './redirect.ts';

/** What the broker has for every request. */
export interface HttpServices {
  readonly resolve: Resolve;
  readonly limits: HttpLimits;
  readonly journal: StepJournal;
  readonly ca: readonly string[] | undefined;
  readonly kept: KeptConnections | undefined;
}

/** What belongs to one request. */
export interface Run {
  readonly services: HttpServices;
  readonly context: HopContext;
  readonly deadline: Deadline;
  readonly redirect: OpArgument<'http', 'request'>['redirect'];
  readonly step: StepRequest | undefined;
}

const IDEMPOTENCY_KEY = 'idempotency-key';

function fingerprintOf(hop: Hop): string {
  const hash = createHash('sha256')
    .update(hop.body ?? '')
    .digest('hex');
  return `${hop.method} ${hop.url} ${hash}`;
}

function withIdempotencyKey<T extends Hop | CheckedHop>(request: T, key: string): T {
  if (BODILESS.has(request.method) || headerOf(request.headers, IDEMPOTENCY_KEY) !== undefined)
    return request;
  return { ...request, headers: [...request.headers, [IDEMPOTENCY_KEY, key]] };
}

/** What the module gets: no value of a secret, and no header about a connection it does not see. */
function answerOf(raw: RawAnswer, url: string, redirected: boolean, { redactor }: OpenSecrets): HttpAnswer {
  return {
    status: raw.status,
    statusText: redactor.text(raw.statusText),
    headers: answerHeaders(raw.headers).map(([name, value]) => [
      redactor.text(name),
      redactor.bytes(Buffer.from(value, 'latin1')).toString('latin1'),
    ]),
    body: answerBody(redactor.bytes(raw.body)),
    url: redactor.text(url),
    redirected,
  };
}

async function addressesOf(run: Run, { target }: CheckedHop): Promise<readonly string[]> {
  const { services, context, deadline } = run;
  return deadline.bound(checkedAddresses(target, context.scope.egressAllow, services.resolve));
}

async function send(run: Run, checked: CheckedHop, addresses: readonly string[]): Promise<RawAnswer> {
  const { services, context, deadline } = run;
  return exchange(
    { ...checked, addresses },
    {
      allow: context.scope.egressAllow,
      limits: services.limits,
      signal: deadline.signal,
      ...(services.ca === undefined ? {} : { ca: services.ca }),
      ...(services.kept === undefined || run.step !== undefined
        ? {}
        : { keep: { connections: services.kept, installationId: context.scope.installationId } }),
    },
  );
}

/** Whatever stops a later hop, the first one has been sent. */
async function sendAgain(run: Run, checked: CheckedHop): Promise<RawAnswer> {
  try {
    return await send(run, checked, await addressesOf(run, checked));
  } catch (error) {
    throw error instanceof ExchangeError
      ? new ExchangeError(error.cause, { isUnsent: false, isStale: false })
      : error;
  }
}

/** Sends the first hop and, where the module wants it, what redirects ask for: each through every check again. */
async function follow(
  run: Run,
  first: Hop,
  checked: CheckedHop,
  addresses: readonly string[],
): Promise<HttpAnswer> {
  let [hop, current] = [first, checked];
  let raw = await send(run, current, addresses);
  for (let followed = 0; ; followed += 1) {
    const location = redirectLocation(raw);
    if (location === undefined || run.redirect === 'manual') break;
    if (run.redirect === 'error' || followed >= run.services.limits.redirects) throw failed('redirect');
    hop = nextHop(hop, current.target, raw, location);
    current = checkHop(hop, run.context);
    raw = await sendAgain(run, current);
  }
  // As the module wrote it, unless an answer led elsewhere: an address that is a secret stays a handle.
  return answerOf(
    raw,
    hop.isFollowed ? current.target.url.href : hop.url,
    hop.isFollowed,
    run.context.secrets,
  );
}

async function followInStep(
  run: Run,
  step: StepRequest,
  hop: Hop,
  checked: CheckedHop,
  addresses: readonly string[],
): Promise<HttpAnswer> {
  const { services, context } = run;
  const verdict = await services.journal.before(context.scope, step, fingerprintOf(hop));
  if ('replay' in verdict) return verdict.replay;
  const key = verdict.send.idempotencyKey;
  let answer: HttpAnswer;
  try {
    answer = await follow(run, withIdempotencyKey(hop, key), withIdempotencyKey(checked, key), addresses);
  } catch (error) {
    if (error instanceof ExchangeError && error.isUnsent) await services.journal.unsent(context.scope, step);
    throw error;
  }
  await services.journal.answered(context.scope, step, answer);
  return answer;
}

/**
 * Checks, resolves, sends, follows.
 * @throws HostError for a refusal; ExchangeError when sending failed
 */
export async function perform(run: Run, hop: Hop): Promise<HttpAnswer> {
  const checked = checkHop(hop, run.context);
  const addresses = await addressesOf(run, checked);
  return run.step === undefined
    ? follow(run, hop, checked, addresses)
    : followInStep(run, run.step, hop, checked, addresses);
}
