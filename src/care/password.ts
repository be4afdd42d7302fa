/**
 * A new password for a service. It goes to the module and to the page that was asked for it, once: no row, no log line and no address holds
 * it, and what the module says about it is searched for it.
 */
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { NewPassword, type PasswordRequest } from '../../sandbox/contract/kinds/service-care.ts';
import { LIMITS } from '../../sandbox/contract/limits.ts';
import { onModule } from '../catalog/products.ts';
import { beginAction } from './actions.ts';
import { ask, messageOf } from './ask.ts';
import type { Done, OfService } from './care.ts';
import { CARE_LIMITS } from './limits.ts';
import { type CareDeps, readService, requireUsable } from './service.ts';
import { offers } from './view.ts';

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;
const HIDDEN = '•••';

/** @throws BAD_INPUT by field: the module has the last word, this is what no service takes */
export function checkPassword(password: string): void {
  const wrong = (text: string): HostError => new HostError('BAD_INPUT', text, { data: { password: [text] } });
  if (password.length < CARE_LIMITS.passwordCharactersMin || password.length > LIMITS.passwordCharacters)
    throw wrong(
      `Use ${CARE_LIMITS.passwordCharactersMin} to ${LIMITS.passwordCharacters} characters, or leave it empty for a new one.`,
    );
  if (CONTROL.test(password)) throw wrong('A password holds no control characters.');
}

function withoutPassword(text: string, passwords: readonly (string | null)[]): string {
  return passwords.reduce<string>(
    (shown, password) => (password === null ? shown : shown.replaceAll(password, HIDDEN)),
    text,
  );
}

/** The answer's own password, of `data.password`. */
function passwordOf(answer: unknown): string | null {
  const parsed = v.safeParse(v.object({ data: NewPassword }), answer);
  return parsed.success ? parsed.output.data.password : null;
}

export async function changePassword(
  deps: CareDeps,
  input: OfService & { readonly password: string | null },
): Promise<Done & { readonly password: string | null }> {
  const { account, password } = input;
  const service = await readService(deps, input);
  requireUsable(service, account);
  if (!offers(service, account, 'changePassword'))
    throw new HostError('NOT_FOUND', 'The password of this service is not changed here.');
  if (password !== null) checkPassword(password);
  const of = { installationId: service.installation.id, serviceId: service.id, account };
  const action = await beginAction(deps.db, { tenantId: input.tenantId, ...of });
  const request: PasswordRequest = { password, who: { kind: account.kind, id: account.id } };
  const asked = await ask(deps, {
    ...of,
    hide: password === null ? [] : [password],
    calls: [...service.prepare, onModule('changePassword', request)],
  });
  const made = asked.ok ? passwordOf(asked.answer) : null;
  const message = withoutPassword(asked.ok ? messageOf(asked.answer) : asked.message, [password, made]);
  const { ok, durationMs } = asked;
  return { ...(await action.end({ action: 'password', ok, message, durationMs })), password: made };
}
