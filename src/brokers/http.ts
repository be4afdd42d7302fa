/**
 * http: requests to granted hosts. The module's text is parsed here once; host, port, scheme, method and rate are checked against the
 * grant; the name is resolved once and the socket goes to an address that was checked. Redirects are followed here, each as a
 * new request through every check. Secrets are put in on the way out and taken out of what comes back.
 */
import type { Grant, OpArgument } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { handlePattern } from '../../sandbox/contract/secret-handle.ts';
import type { OpenSecrets, Vault } from '../secrets/vault.ts';
import type { Broker, Scope } from './broker.ts';
import { resolveBySystem } from './http/addresses.ts';
import type { Resolve } from './http/addresses.ts';
import { perform } from './http/chain.ts';
import type { HttpServices } from './http/chain.ts';
import { startDeadline } from './http/deadline.ts';
import { ExchangeError } from './http/exchange.ts';
import { asFailure } from './http/failure.ts';
import { requestHeaders } from './http/headers.ts';
import { BODILESS } from './http/hop.ts';
import type { Hop } from './http/hop.ts';
import type { HttpAnswer, StepJournal, StepRequest } from './http/journal.ts';
import type { KeptConnections } from './http/kept.ts';
import { HTTP_LIMITS } from './http/limits.ts';
import type { HttpLimits } from './http/limits.ts';
import { RequestRate } from './http/rate.ts';
import { describeTarget, parseTarget } from './http/target.ts';
import type { HostRequests } from './host-requests.ts';

export interface HttpBrokerDeps {
  readonly vault: Pick<Vault, 'open'>;
  readonly journal: StepJournal;
  readonly requests: HostRequests;
  /** Name → addresses; the system's resolver (hosts file included) if absent. */
  readonly resolve?: Resolve;
  /** PEM certificates of an operator's own authority; if given, these are trusted and no others. */
  readonly ca?: readonly string[];
  /** Connections that wait between requests; each request has its own if absent. Whoever made it closes it. */
  readonly kept?: KeptConnections;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** Narrower bounds than HTTP_LIMITS. */
  readonly limits?: Partial<HttpLimits>;
}

type Input = OpArgument<'http', 'request'>;

const TARGET_CHARACTERS = 300;
/** Requests of one step; a step is one doing, not a loop over everything. */
const STEP_REQUESTS = 1_000;

function bytesOf(body: Input['body']): Buffer | undefined {
  if (body === undefined) return undefined;
  return 'text' in body ? Buffer.from(body.text, 'utf8') : Buffer.from(body.base64, 'base64');
}

function firstHop(input: Input): Hop {
  const body = bytesOf(input.body);
  if (body !== undefined && BODILESS.has(input.method))
    throw new HostError('BAD_INPUT', `http: a ${input.method} request has no body.`);
  return {
    method: input.method,
    url: input.url,
    headers: requestHeaders(input.headers),
    body,
    isFollowed: false,
  };
}

/** The contract bounds the shape only; the journal keeps these in a table. */
function checkStep(scope: Scope, step: StepRequest | undefined): void {
  if (step === undefined) return;
  if (scope.taskId === null) throw new HostError('BAD_INPUT', 'http: steps exist in jobs only.');
  if (!Number.isInteger(step.number) || step.number < 0 || step.number >= STEP_REQUESTS)
    throw new HostError('LIMIT', `http: a step sends at most ${STEP_REQUESTS} requests.`);
}

/** `POST api.example.com/v2/droplets`: no query, and a secret by its name. */
function recordedTarget(input: Input, secrets: OpenSecrets | undefined): string {
  const nameOf = (handle: string): string => `{${secrets?.byHandle.get(handle)?.name ?? 'secret'}}`;
  const place = input.url
    .replace(handlePattern(), nameOf)
    .replace(/^https:\/\//i, '')
    .replace(/[?#].*$/s, '')
    .replace(/^[^/]*@/, '');
  return `${input.method} ${secrets?.redactor.text(place) ?? place}`.slice(0, TARGET_CHARACTERS);
}

/** Builds the broker. What it keeps open between requests is `kept`’s. */
export function createHttpBroker(deps: HttpBrokerDeps): Broker<'http'> {
  const now = deps.now ?? (() => performance.now());
  const rate = new RequestRate(now);
  const services: HttpServices = {
    resolve: deps.resolve ?? resolveBySystem,
    limits: { ...HTTP_LIMITS, ...deps.limits },
    journal: deps.journal,
    ca: deps.ca,
    kept: deps.kept,
  };

  async function request(
    scope: Scope,
    input: Input,
    grant: Grant<'http'>,
    secrets: OpenSecrets,
  ): Promise<HttpAnswer> {
    checkStep(scope, input.step);
    using deadline = startDeadline(scope, input.timeoutMs ?? services.limits.totalMs, now);
    const context = { scope, grant, secrets, rate };
    const connectMs = Math.min(
      services.limits.connectMs,
      input.connectTimeoutMs ?? services.limits.connectMs,
    );
    return await perform(
      {
        services: { ...services, limits: { ...services.limits, connectMs } },
        context,
        deadline,
        redirect: input.redirect,
        step: input.step,
      },
      firstHop(input),
    );
  }

  return {
    async requestHost(scope, { host, port, scheme }) {
      const target = parseTarget(`${scheme}://${host}${port === undefined ? '' : `:${port}`}/`);
      if (target.url.pathname !== '/' || target.url.search !== '')
        throw new HostError('BAD_INPUT', 'http: only a host is asked for, without a path.');
      return { status: await deps.requests.ask(scope, 'http', describeTarget(target)) };
    },
    async request(scope, input, grant) {
      const startedAt = now();
      let secrets: OpenSecrets | undefined;
      const record = (outcome: { status?: number; errorCode?: string }): void =>
        scope.record({
          op: 'http.request',
          target: recordedTarget(input, secrets),
          durationMs: now() - startedAt,
          ...outcome,
        });
      try {
        secrets = await deps.vault.open(scope);
        const answer = await request(scope, input, grant, secrets);
        record({ status: answer.status });
        return answer;
      } catch (error) {
        const failure = error instanceof ExchangeError ? asFailure(error.cause) : error;
        record({ errorCode: failure instanceof HostError ? failure.code : 'INTERNAL' });
        throw failure;
      }
    },
  };
}
