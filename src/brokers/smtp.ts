/**
 * smtp: one mail over one conversation with a granted mail server. Server, encryption and rate are checked against the grant; the name is
 * resolved once and the socket goes to an address that was checked, by the rules of http; the password is put in here, only towards
 * a server its secret is bound to, and taken out of whatever the server says.
 */
import { isIP } from 'node:net';
import * as v from 'valibot';

import type { Grant, OpArgument, OpOutput } from '../../sandbox/contract/capabilities.ts';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { refusal } from '../../sandbox/contract/grant.ts';
import { parseHostPattern } from '../../sandbox/contract/host-pattern.ts';
import { handlePattern } from '../../sandbox/contract/secret-handle.ts';
import { allowsMailServer, type MailServer } from '../../sandbox/contract/mail-server.ts';
import { handlesIn } from '../secrets/handle.ts';
import type { OpenSecrets, Vault } from '../secrets/vault.ts';
import type { Broker, Scope } from './broker.ts';
import { checkedAddresses, resolveBySystem, type Resolve } from './http/addresses.ts';
import { secretOf } from './http/substitution.ts';
import { openPinned } from './smtp/connect.ts';
import { converse } from './smtp/conversation.ts';
import { asSmtpFailure, smtpFailed, wasRefused } from './smtp/failure.ts';
import type { MailEntry, MailJournal } from './smtp/journal.ts';
import { SMTP_LIMITS, type SmtpLimits } from './smtp/limits.ts';
import { buildMessage } from './smtp/message.ts';
import { createRate, type Rate } from './tasks-rate.ts';

export interface SmtpBrokerDeps {
  readonly vault: Pick<Vault, 'open'>;
  readonly journal: MailJournal;
  /** What we call ourselves towards mail servers: the panel's host name. */
  readonly name: string;
  readonly resolve?: Resolve;
  /** PEM certificates of an operator's own authority; if given, these are trusted and no others. */
  readonly ca?: readonly string[];
  /** Epoch milliseconds. */
  readonly now?: () => number;
  readonly limits?: Partial<SmtpLimits>;
}

type Input = OpArgument<'smtp', 'send'>;
type Output = OpOutput<'smtp', 'send'>;

const SecretsGrant = v.object({
  names: v.record(v.string(), v.object({ title: v.string(), hosts: v.array(v.string()) })),
});

/** Where the mail goes, as the host itself reads it. @throws HostError BAD_INPUT */
function serverOf({ host, port }: Input): MailServer {
  const parsed = parseHostPattern(`${host}:${port}`);
  if (parsed === undefined || parsed.wildcard || /[:/]/.test(host.replace(/^\[.*\]$/, '')))
    throw new HostError('BAD_INPUT', 'smtp: the host is no valid host name.');
  return { host: parsed.host, port };
}

function describe({ host, port }: MailServer): string {
  return `${host}:${port}`;
}

function isLoopback(address: string): boolean {
  return isIP(address) === 4 ? address.startsWith('127.') : address === '::1';
}

function checkGrant(scope: Scope, server: MailServer, grant: Grant<'smtp'>, rate: Rate): void {
  const pattern = grant.hosts.find((text) => allowsMailServer(text, server, scope.settings));
  if (pattern === undefined) throw refusal('smtp', `mail server ${describe(server)}`, 'smtp.hosts');
  if (!rate.allows(scope.installationId, grant.per_minute))
    throw new HostError(
      'LIMIT',
      `smtp: more than ${grant.per_minute} mails a minute; wait, or ask for more in permissions.smtp.per_minute.`,
    );
  scope.used(`smtp.hosts:${pattern}`);
}

/** The text with values in, once each secret in it may go to this server. @throws HostError NOT_FOUND, NOT_GRANTED */
function credential(text: string, scope: Scope, server: MailServer, secrets: OpenSecrets): string {
  const granted = v.safeParse(SecretsGrant, scope.grants['secrets']);
  for (const handle of handlesIn(text)) {
    const secret = secretOf(secrets.byHandle, handle);
    const names = granted.success ? granted.output.names : {};
    const entry = Object.hasOwn(names, secret.name) ? names[secret.name] : undefined;
    const mayGo = (hosts: readonly string[]): boolean =>
      hosts.some((host) => allowsMailServer(host, server, scope.settings));
    if (entry === undefined || !mayGo(entry.hosts) || (secret.hosts.length > 0 && !mayGo(secret.hosts)))
      throw refusal(
        'smtp',
        `sending secret ${secret.name} to ${describe(server)}`,
        `secrets.${secret.name}.hosts`,
      );
    scope.used(`secrets.names:${secret.name}`);
  }
  return text.replace(handlePattern(), (handle) => secretOf(secrets.byHandle, handle).value);
}

/** Without encryption only where nobody can listen, or where the admin said so. @throws HostError NOT_GRANTED */
function checkPlain(input: Input, addresses: readonly string[], grant: Grant<'smtp'>): void {
  if (input.encryption !== 'none' || grant.plain || addresses.every(isLoopback)) return;
  throw refusal('smtp', 'sending without encryption', 'smtp.plain');
}

interface Run {
  readonly deps: SmtpBrokerDeps;
  readonly limits: SmtpLimits;
  readonly rate: Rate;
  readonly scope: Scope;
  readonly input: Input;
  readonly grant: Grant<'smtp'>;
  readonly signal: AbortSignal;
}

async function addressesOf(run: Run, server: MailServer): Promise<readonly string[]> {
  const looking = checkedAddresses(
    server,
    run.scope.egressAllow,
    run.deps.resolve ?? resolveBySystem,
    'smtp',
  ).catch((error: unknown) => {
    throw error instanceof HostError && error.code === 'HTTP_FAILED' ? smtpFailed('dns', '', error) : error;
  });
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(run.signal.reason);
  run.signal.addEventListener('abort', stop, { once: true });
  try {
    return await Promise.race([looking, ended]);
  } finally {
    run.signal.removeEventListener('abort', stop);
  }
}

async function send(run: Run, secrets: OpenSecrets): Promise<Output> {
  const { deps, limits, scope, input, grant, signal } = run;
  const clean = (text: string): string =>
    secrets.redactor
      .text(text)
      .replace(/\p{Cc}+/gu, ' ')
      .slice(0, limits.responseCharacters);
  const server = serverOf(input);
  checkGrant(scope, server, grant, run.rate);
  const username = credential(input.username, scope, server, secrets);
  const password = credential(input.password, scope, server, secrets);
  const entry = await deps.journal.open(scope, input);
  if (entry !== undefined && 'taken' in entry) return entry.taken;
  const message = await buildMessage(input, limits.messageBytes, entry?.key);
  const addresses = await addressesOf(run, server);
  checkPlain(input, addresses, grant);
  let isHanded = false;
  let output: Output;
  try {
    const socket = await openPinned({
      addresses,
      port: server.port,
      allow: scope.egressAllow,
      connectMs: limits.connectMs,
      signal,
    });
    const handed = await converse({
      socket,
      host: server.host.replace(/^\[|\]$/g, ''),
      port: server.port,
      encryption: input.encryption,
      name: deps.name,
      username,
      password,
      message,
      limits,
      ca: deps.ca,
      signal,
      before: async () => entry?.begin(),
      onHanded: () => {
        isHanded = true;
      },
    });
    output = {
      accepted: [...handed.accepted],
      rejected: [...handed.rejected],
      response: clean(handed.response),
      message_id: message.messageId,
    };
  } catch (error) {
    const failure = asSmtpFailure(error, clean);
    throw entry === undefined ? failure : await afterFailure(entry, failure, isHanded && !wasRefused(error));
  }
  await entry?.answered(output);
  return output;
}

/** What a job is told: the failure, or that nobody knows whether the server took the mail all the same. */
async function afterFailure(entry: MailEntry, failure: HostError, isUnknown: boolean): Promise<HostError> {
  if (failure.code === 'STEP_IN_DOUBT') return failure;
  if (isUnknown) return entry.doubt(failure);
  await entry.unsent();
  return failure;
}

/** Aborted with the HostError to throw, when the time is over or the invocation ends. */
function deadline(
  scope: Scope,
  timeoutMs: number,
  now: () => number,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const restMs = Math.max(0, Math.min(timeoutMs, scope.deadlineAt - now()));
  const timer = setTimeout(() => controller.abort(smtpFailed('timeout')), restMs);
  const onEnd = (): void =>
    controller.abort(new HostError('ENDED', 'smtp: the invocation ended before the mail was sent.'));
  if (scope.signal.aborted) onEnd();
  else scope.signal.addEventListener('abort', onEnd, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      scope.signal.removeEventListener('abort', onEnd);
    },
  };
}

export function createSmtpBroker(deps: SmtpBrokerDeps): Broker<'smtp'> {
  const now = deps.now ?? (() => performance.now());
  const rate = createRate(now);
  const limits: SmtpLimits = { ...SMTP_LIMITS, ...deps.limits };
  return {
    async send(scope, input, grant) {
      const startedAt = now();
      const record = (outcome: { status?: number; errorCode?: string }): void =>
        scope.record({
          op: 'smtp.send',
          target: `MAIL ${input.host}:${input.port}`,
          durationMs: now() - startedAt,
          ...outcome,
        });
      using ending = deadline(scope, input.timeoutMs ?? limits.totalMs, now);
      try {
        const secrets = await deps.vault.open(scope);
        const run = { deps, limits, rate, scope, input, grant, signal: ending.signal };
        const sent = await send(run, secrets);
        record({ status: 250 });
        return sent;
      } catch (error) {
        record({ errorCode: error instanceof HostError ? error.code : 'INTERNAL' });
        throw error;
      }
    },
  };
}
