/** What the guide's save and action methods return, read into the host's own shapes. */
import * as v from 'valibot';
import type { WireError } from '../../sandbox/contract/envelope.ts';
import type { InvocationOutput, ModuleResponse } from '../../sandbox/contract/invocation.ts';
import { ActionResult, FieldErrors, SaveResult } from '../../sandbox/contract/kinds/module.ts';

export type FormErrors = Readonly<Record<string, readonly string[]>>;
export type Saved =
  | { readonly ok: true; readonly data: Readonly<Record<string, unknown>> | undefined }
  | { readonly ok: false; readonly errors: FormErrors; readonly message?: string };

type Result = InvocationOutput['results'][number] | undefined;

export function valueOf(result: Result): unknown {
  return result !== undefined && 'value' in result ? result.value : undefined;
}

/** What a module answered to a request; a plain text is HTML, other plain values are JSON. */
export function responseOf(result: Result): ModuleResponse {
  if (result !== undefined && 'response' in result) return result.response;
  const value = result?.value ?? null;
  return typeof value === 'string'
    ? { kind: 'html', status: 200, html: value }
    : { kind: 'json', status: 200, body: value };
}

/** Errors by field may stand in `errors` or, as in the guide's examples, in `message`. */
export function readSaved(result: Result): Saved {
  const parsed = v.safeParse(SaveResult, valueOf(result));
  if (!parsed.success)
    return { ok: false, errors: {}, message: 'The module’s answer was neither success nor error.' };
  const answer = parsed.output;
  if (answer.status === 'success') return { ok: true, data: answer.data };
  const fields = v.safeParse(FieldErrors, answer.errors ?? answer.message);
  const errors = fields.success ? listed(fields.output) : {};
  const message = typeof answer.message === 'string' ? answer.message : undefined;
  return message === undefined ? { ok: false, errors } : { ok: false, errors, message };
}

function listed(errors: v.InferOutput<typeof FieldErrors>): FormErrors {
  return Object.fromEntries(
    Object.entries(errors).map(([field, texts]) => [
      field === '_' ? '' : field,
      typeof texts === 'string' ? [texts] : texts,
    ]),
  );
}

/** activate(), update() …: anything but 'success' of any of the calls is the error's text. */
export function judgeLifecycle(results: InvocationOutput['results']): WireError | undefined {
  const answers = results.map(valueOf);
  if (answers.length > 0 && answers.every((answer) => answer === 'success')) return undefined;
  const answer = answers.find((candidate) => candidate !== 'success');
  const text = typeof answer === 'string' ? answer.replace(/^error:\s*/i, '') : 'it did not return "success"';
  return { code: 'MODULE_ERROR', message: text.slice(0, 2_000) };
}

/** create(), suspend() …: an error answer is the module's refusal. */
export function judgeAction(results: InvocationOutput['results']): WireError | undefined {
  const parsed = v.safeParse(ActionResult, valueOf(results.at(-1)));
  if (!parsed.success)
    return { code: 'BAD_OUTPUT', message: 'The module’s answer is not {status: "success" | "error", …}.' };
  const { status, success, message, error } = parsed.output;
  if (status === 'success' || success === true) return undefined;
  const text = [message, error].find((part) => typeof part === 'string');
  return {
    code: 'MODULE_ERROR',
    message: typeof text === 'string' ? text.slice(0, 2_000) : 'The module refused.',
  };
}
