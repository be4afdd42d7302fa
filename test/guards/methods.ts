/** Guards of what modules offer beside the lifecycle of services: whose service it is, which button, which host, and that no password stays. */
import type { Guard } from './guard.ts';

const test = 'test/host/service-care.test.ts';

export const methodGuards: readonly Guard[] = [
  {
    name: 'a client acts on services of their own',
    threats: ['tenant-rows'],
    file: 'src/care/service.ts',
    text: "  if (account?.kind === 'client') query = query.where('service.client_id', '=', account.id);\n",
    instead: '',
    test,
    only: 'nobody else',
  },
  {
    name: 'staff acts on services of its own tenant',
    threats: ['tenant-rows'],
    file: 'src/care/service.ts',
    text: "    .where('service.tenant_id', '=', tenantId)\n",
    instead: '',
    test,
    only: 'nobody else',
  },
  {
    name: 'a button is one that the module declared',
    threats: ['names-closed'],
    file: 'src/care/cases.ts',
    text: 'const button = declared.find(({ key }) => key === input.button);',
    instead:
      "const button = declared.find(({ key }) => key === input.button) ?? { key: input.button, title: '' };",
    test,
    only: 'is not pressed by staff',
  },
  {
    name: 'a button needs the module’s permission that it names',
    threats: ['person-role'],
    file: 'src/care/cases.ts',
    text: 'if (!buttonsFor(service, account).includes(button))',
    instead: 'if (!buttonsFor)',
    test,
    only: 'needs the panel',
  },
  {
    name: 'signing on leads to granted hosts only',
    threats: ['grant-hosts'],
    file: 'src/care/sign-on.ts',
    text: '  if (grant !== undefined) {',
    instead: '  if (grant !== null) {',
    test,
    only: 'it was not granted',
  },
  {
    name: 'a typed password stands in no log',
    threats: ['secret-echo'],
    file: 'src/catalog/invoke.ts',
    text: "path === 'logs.write' ? hide(input, options.hide ?? []) : input",
    instead: 'input',
    test,
    only: 'kept nowhere',
  },
  {
    name: 'a connection is tested for its own tenant',
    threats: ['tenant-rows'],
    file: 'src/care/test-connection.ts',
    text: 'if (installation.tenant.id !== input.tenantId)',
    instead: 'if (installation.tenant.id === undefined)',
    test,
    only: 'for this tenant',
  },
  {
    name: 'a button is not pressed without end',
    threats: ['limit-fair'],
    file: 'src/care/actions.ts',
    text: 'if (rows.length === CARE_LIMITS.actionsAMinute)',
    instead: 'if (rows.length < 0)',
    test,
    only: 'without end',
  },
];
