/**
 * The consent page: everything a module asks for, in plain words, with a switch a line. Nothing is granted by default; amounts may be
 * lowered and host patterns narrowed in place; what enabling still waits for is summed up at the foot.
 */
import type { Answer } from '../../../sandbox/contract/grant.ts';
import { groupLines } from '../consent-lines.ts';
import type { ConsentLine, FormErrors } from '../deps.ts';
import type { AccountApp, AccountContext } from '../env.ts';
import { errorsOf, idFrom, readForm, type RawForm } from '../forms.ts';
import { installationOf, need } from '../need.ts';
import { withNote } from '../notes.ts';
import { accountPage, type Panel } from '../panel.ts';
import { installationHead } from './installation-head.ts';

function textOf(form: RawForm, name: string): string | undefined {
  const value = form[name];
  return typeof value === 'string' ? value.trim() : undefined;
}

/** The answer to one line; what does not differ from the ask is left out, so that the grant says what the ask said. */
function answerTo(line: ConsentLine, form: RawForm): Answer {
  if (textOf(form, `grant:${line.id}`) !== 'on') return { granted: false };
  const amount = textOf(form, `amount:${line.id}`);
  const item = textOf(form, `item:${line.id}`);
  return {
    granted: true,
    ...(line.sort === 'amount' && amount !== undefined && amount !== '' ? { amount: Number(amount) } : {}),
    ...(line.narrowable && item !== undefined && item !== '' && item !== line.item ? { item } : {}),
  };
}

export function answersFrom(lines: readonly ConsentLine[], form: RawForm): Record<string, Answer> {
  return Object.fromEntries(lines.map((line) => [line.id, answerTo(line, form)]));
}

/** The lines as they were just sent, to show a refused form as it was filled in. */
function withAnswers(
  lines: readonly ConsentLine[],
  answers: Readonly<Record<string, Answer>>,
): ConsentLine[] {
  return lines.map((line) => {
    const answer = answers[line.id];
    if (answer?.granted !== true) return { ...line, granted: false };
    const amount = answer.amount === undefined ? {} : { grantedAmount: answer.amount };
    const item = answer.item === undefined ? {} : { grantedItem: answer.item };
    return { ...line, granted: true, ...amount, ...item };
  });
}

export function consentPages(app: AccountApp, panel: Panel): void {
  const { catalog } = panel.deps;

  const page = async (
    c: AccountContext,
    id: string,
    refused?: { errors: FormErrors; answers: Record<string, Answer> },
  ) => {
    const installation = await installationOf(panel, c.get('tenant').id, id);
    const consent = await catalog.consent(id);
    const lines = refused === undefined ? consent.lines : withAnswers(consent.lines, refused.answers);
    return accountPage(
      panel,
      c,
      'admin/consent',
      {
        ...installationHead(c, installation, 'permissions'),
        version: consent.version,
        groups: groupLines(lines),
        total: lines.length,
        unused: lines.filter((line) => line.granted && line.uses === 0).length,
        errors: refused?.errors ?? {},
      },
      refused === undefined ? 200 : 422,
    );
  };

  app.get('/installations/:id/permissions', (c) => {
    need(c, 'modules.manage');
    return page(c, idFrom(c.req.param('id')));
  });

  app.post('/installations/:id/permissions', async (c) => {
    need(c, 'modules.manage');
    const installation = await installationOf(panel, c.get('tenant').id, idFrom(c.req.param('id')));
    const { lines } = await catalog.consent(installation.id);
    const form = await readForm(c);
    const answers = answersFrom(lines, form);
    const accountId = c.get('account').accountId;
    try {
      await catalog.grant({
        installationId: installation.id,
        answers,
        accountId,
        version: textOf(form, 'version') ?? '',
      });
    } catch (error) {
      const errors = errorsOf(error);
      if (errors === undefined) throw error;
      return page(c, installation.id, { errors, answers });
    }
    const home = `${c.get('tenantBase')}/admin/installations/${installation.id}`;
    if (form['after'] !== 'enable') return c.redirect(withNote(`${home}/permissions`, 'granted'), 303);
    await catalog.enable(installation.id, accountId);
    return c.redirect(withNote(home, 'enabled'), 303);
  });
}
