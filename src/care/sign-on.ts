/** singleSignOn(): an address that signs somebody on at the service. It goes to who asked and nowhere else, and only to a granted host. */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import type { InvocationOutput } from '../../sandbox/contract/invocation.ts';
import { SignOnResult, type Who } from '../../sandbox/contract/kinds/service-care.ts';
import { valueOf } from '../catalog/answers.ts';
import { mayLeaveBy } from '../catalog/leave.ts';
import { onModule } from '../catalog/products.ts';
import { beginAction } from './actions.ts';
import { ask } from './ask.ts';
import type { OfService } from './care.ts';
import { CARE_LIMITS } from './limits.ts';
import { type CareDeps, type CaredService, readService, requireUsable } from './service.ts';
import { offers } from './view.ts';

function judge(results: InvocationOutput['results']) {
  const parsed = v.safeParse(SignOnResult, valueOf(results.at(-1)));
  if (!parsed.success)
    return {
      code: 'BAD_OUTPUT',
      message: 'singleSignOn() must return {url} or {status: "error", message}.',
    } as const;
  const answer = parsed.output;
  if (typeof answer === 'string' || 'url' in answer) return undefined;
  return {
    code: 'MODULE_ERROR',
    message: (answer.message ?? 'The module refused.').slice(0, 2_000),
  } as const;
}

function addressOf(answer: unknown): string {
  const parsed = v.parse(SignOnResult, answer);
  return typeof parsed === 'string' ? parsed : 'url' in parsed ? parsed.url : '';
}

/** @throws NOT_GRANTED naming what to add; a client is not told which host it was */
function requireGranted(
  deps: CareDeps,
  { installation }: CaredService,
  address: string,
  isClient: boolean,
): void {
  const grant =
    address.length <= CARE_LIMITS.addressCharacters
      ? mayLeaveBy(installation, installation.settings, address, ['redirect'])
      : undefined;
  if (grant !== undefined) {
    deps.recorder.grantUse(installation.id, grant, 'used');
    return;
  }
  deps.recorder.grantUse(installation.id, 'redirect', 'refused');
  const host = URL.parse(address)?.host ?? 'this address';
  throw new HostError(
    'NOT_GRANTED',
    isClient
      ? 'This did not work. Please contact us.'
      : `redirect: host ${host} is not granted; add it to permissions.redirect.hosts.`,
  );
}

export async function signOn(deps: CareDeps, input: OfService): Promise<{ readonly url: string }> {
  const { account } = input;
  const service = await readService(deps, input);
  requireUsable(service, account);
  if (!offers(service, account, 'singleSignOn'))
    throw new HostError('NOT_FOUND', 'This service has no single sign-on here.');
  const of = { installationId: service.installation.id, serviceId: service.id, account };
  const action = await beginAction(deps.db, { tenantId: input.tenantId, ...of });
  const who: Who = { kind: account.kind, id: account.id };
  const asked = await ask(deps, {
    ...of,
    calls: [...service.prepare, onModule('singleSignOn', who)],
    judge,
  });
  const { durationMs } = asked;
  const write = async (ok: boolean, message: string): Promise<void> =>
    void (await action.end({ action: 'sign_on', ok, message, durationMs }));
  if (!asked.ok) {
    await write(false, asked.message);
    throw new HostError('MODULE_ERROR', asked.message);
  }
  const url = addressOf(asked.answer);
  try {
    requireGranted(deps, service, url, account.kind === 'client');
  } catch (error) {
    if (error instanceof HostError) await write(false, `${error.code}: ${URL.parse(url)?.host ?? ''}`);
    throw error;
  }
  await write(true, '');
  return { url };
}
