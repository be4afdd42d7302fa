/** What a failure looks like to a browser: a page of the product, or JSON for scripts. The cause goes to the log, never to the page. */
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { HostError, type ErrorCode } from '../../sandbox/contract/envelope.ts';
import { InvocationFailed } from '../catalog/invoke.ts';
import type { Area, RootEnv } from './env.ts';
import { FIRST_LANGUAGE } from './lang/languages.ts';
import { said } from './lang/said.ts';
import type { TextKey, Translate } from './lang/texts.ts';
import { plainPage, type Panel } from './panel.ts';
import { requestIdOf } from './request-id.ts';

const STATUSES: Partial<Record<ErrorCode, ContentfulStatusCode>> = {
  BAD_INPUT: 422,
  NOT_GRANTED: 403,
  NOT_FOUND: 404,
  NO_METHOD: 404,
  CONFLICT: 409,
  LIMIT: 429,
  TIMEOUT: 504,
  CPU_LIMIT: 503,
  MEMORY_LIMIT: 503,
  CRASHED: 503,
  INTERRUPTED: 503,
  MODULE_ERROR: 502,
  BAD_OUTPUT: 502,
  LOAD_FAILED: 502,
};
const TITLES: Readonly<Record<number, TextKey>> = {
  403: 'layout.error_403',
  404: 'layout.error_404',
  409: 'layout.error_409',
  422: 'layout.error_422',
  429: 'layout.error_429',
  500: 'layout.error_500',
  502: 'layout.error_502',
  503: 'layout.error_503',
  504: 'layout.error_504',
};

export function statusOf(code: ErrorCode): ContentfulStatusCode {
  return STATUSES[code] ?? 500;
}

export function wantsJson(c: Context): boolean {
  const accept = c.req.header('accept') ?? '';
  return accept.includes('application/json') && !accept.includes('text/html');
}

/** An error may come before it is known who asks. */
interface ErrorEnv {
  Variables: RootEnv['Variables'] & { area?: Area };
}

interface Told {
  readonly code: ErrorCode;
  readonly message: string;
  readonly status: ContentfulStatusCode;
}

/** What went wrong inside a module is for its admins, in the log; a client learns that it did. */
function forClient(error: InvocationFailed, t: Translate): Told {
  return { code: error.code, message: t('client.module_failed'), status: statusOf(error.code) };
}

function tell(error: unknown): Told {
  if (error instanceof HostError && error.code !== 'INTERNAL')
    return { code: error.code, message: error.message, status: statusOf(error.code) };
  return {
    code: 'INTERNAL',
    message: 'The cause is in the operator’s log, under the number below.',
    status: 500,
  };
}

/** Answers a thrown error. Only what nobody expected is reported. */
export async function errorAnswer(panel: Panel, c: Context<ErrorEnv>, error: unknown): Promise<Response> {
  const hidden = error instanceof InvocationFailed && c.get('area') === 'client';
  const told = hidden ? forClient(error, c.get('t')) : tell(error);
  const id = requestIdOf(c);
  if (told.status === 500)
    panel.deps.reportError(error, { id, method: c.req.method, path: new URL(c.req.url).pathname });
  const message = said(c.get('lang') ?? FIRST_LANGUAGE, told.message);
  if (wantsJson(c)) return c.json({ error: { code: told.code, message, id } }, told.status);
  return plainPage(
    panel,
    c,
    'layout/error',
    {
      title: c.get('t')(TITLES[told.status] ?? 'layout.error_other'),
      status: told.status,
      message,
      id,
    },
    told.status,
  );
}
