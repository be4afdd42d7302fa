/**
 * Guards and the tests that stand for them. Taking the guard away (its exact text, replaced by another) must turn the named test red;
 * a guard that no test misses is no guard. `only` is the part of the tests' names that is run. New guards belong here.
 */

import { billingGuards } from './billing.ts';

export interface Guard {
  readonly name: string;
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly text: string;
  readonly instead: string;
  readonly test: string;
  readonly only: string;
}

const STATE = { test: 'test/escape/sandbox-state.test.ts', only: 'what an invocation can reach' };
const RUNNER = 'test/escape/sandbox-runner.test.ts';
const GUEST = 'test/escape/sandbox-guest.test.ts';
const CRASH = 'test/escape/sandbox-crash.test.ts';
const PROCESS = 'test/escape/sandbox-process.test.ts';
const LAUNCH = 'sandbox/supervisor/launch.ts';

const guest: readonly Guard[] = [
  {
    name: 'what stands behind an accessor is frozen',
    file: 'sandbox/guest/harden.ts',
    text: 'for (const key of ownKeys(prototype)) hidden.push(makeOverridable(prototype, key));',
    instead: 'for (const key of ownKeys(prototype)) makeOverridable(prototype, key);',
    ...STATE,
  },
  {
    name: 'RegExp.prototype.compile is gone',
    file: 'sandbox/guest/harden.ts',
    text: "[RegExp.prototype, ['compile']],",
    instead: '',
    ...STATE,
  },
  {
    name: 'hidden intrinsics are found',
    file: 'sandbox/guest/harden.ts',
    text: 'samples.push(segments, segments[Symbol.iterator]());',
    instead: 'samples.push(segments[Symbol.iterator]());',
    ...STATE,
  },
  {
    name: 'everything the bundle has is sealed',
    file: 'sandbox/supervisor/stage.ts',
    text: 'entry.seal([${values}]);',
    instead: 'entry.seal([]);',
    ...STATE,
  },
  {
    name: 'errors of templates carry no template',
    file: 'sandbox/guest/view.ts',
    text: 'throw new Error(error instanceof Error ? String(error.message) : `view "${name}" failed`);',
    instead: 'throw error;',
    test: STATE.test,
    only: 'a token of a template',
  },
  {
    name: 'WebAssembly is gone',
    file: 'sandbox/guest/harden.ts',
    text: "'WebAssembly',",
    instead: '',
    test: 'test/escape/sandbox-realm.test.ts',
    only: 'the global object',
  },
  {
    name: 'buffers do not grow',
    file: 'sandbox/guest/harden.ts',
    text: '  fixedSizeArrayBuffer(world);\n',
    instead: '',
    test: 'test/sandbox/limits.test.ts',
    only: 'cannot make an array buffer that grows',
  },
  {
    name: 'modules are strict',
    file: 'sandbox/guest/boot.ts',
    text: '`"use strict";\\n${script}',
    instead: '`${script}',
    test: 'test/escape/sandbox-realm.test.ts',
    only: 'is strict whatever it says',
  },
  {
    name: 'what a timer throws is caught inside',
    file: 'sandbox/guest/boot.ts',
    text: 'callback?.();\n  } catch (error) {\n    finish(invocation, { ok: false, error: describeError(error) });',
    instead: 'callback?.();\n  } catch (error) {\n    throw error;',
    test: CRASH,
    only: 'by an error in a timer',
  },
  {
    name: 'a notice has a length',
    file: 'sandbox/guest/boot.ts',
    text: 'if (body.length <= LIMITS.noticeBytes)',
    instead: 'if (body.length >= 0)',
    test: CRASH,
    only: 'by a log line that is too long',
  },
];

const runner: readonly Guard[] = [
  {
    name: 'only who was entered speaks',
    file: 'sandbox/runner/outbox.ts',
    text: 'if (message.id !== entered)',
    instead: 'if (entered < 0)',
    test: GUEST,
    only: 'cannot speak for another invocation',
  },
  {
    name: 'messages have lengths',
    file: 'sandbox/runner/outbox.ts',
    text: 'if (message.body.length > (BODY_CHARACTERS[message.kind] ?? NAME_CHARACTERS))',
    instead: 'if (message.body.length < 0)',
    test: GUEST,
    only: 'is ended for a call over its bytes',
  },
  {
    name: 'notices have a rate',
    file: 'sandbox/runner/runner.ts',
    text: "if (verdict === 'pass')",
    instead: 'if (verdict.length > 0)',
    test: 'test/escape/sandbox-flood.test.ts',
    only: 'of progress notes',
  },
  {
    name: 'calls in flight are counted in the runner',
    file: 'sandbox/runner/runner.ts',
    text: 'invocation.waiting > invocation.limits.callsInFlight ||',
    instead: '',
    test: GUEST,
    only: 'has no more calls in flight',
  },
  {
    name: 'a rejected promise ends nobody',
    file: 'sandbox/runner/isolate.ts',
    text: 'if (isolate.isDisposed || performance.now() - startedAt >= timeoutMs - TIMER_SLACK_MS) throw error;',
    instead: 'throw error;',
    test: CRASH,
    only: 'by a promise nobody handles',
  },
];

const supervisor: readonly Guard[] = [
  {
    name: 'frames have a length',
    file: 'sandbox/contract/wire.ts',
    text: ' || length > maxBytes + HEADER_BYTES + 65_535',
    instead: '',
    test: RUNNER,
    only: 'a frame of 4 GB',
  },
  {
    name: 'call numbers are numbers',
    file: 'sandbox/supervisor/runner-process.ts',
    text: '/^(\\d{1,10}) ([\\w.]{1,100})$/',
    instead: '/^(.*) (.*)$/s',
    test: RUNNER,
    only: 'a call whose number',
  },
  {
    name: 'calls in flight are counted here too',
    file: 'sandbox/supervisor/sandbox.ts',
    text: ' || ++entry.waiting > limits.callsInFlight',
    instead: '',
    test: RUNNER,
    only: 'lets more calls through',
  },
  {
    name: 'inputs have a number of items',
    file: 'sandbox/supervisor/calls.ts',
    text: 'if (countItems(text, LIMITS.callInputItems) > LIMITS.callInputItems)',
    instead: 'if (text.length < 0)',
    test: RUNNER,
    only: 'half a million wrong tags',
  },
  {
    name: 'a bill has a ceiling',
    file: 'sandbox/supervisor/results.ts',
    text: 'Math.min(cpuUs, wallMs * 1_000)',
    instead: 'cpuUs',
    test: RUNNER,
    only: 'cannot claim more time',
  },
  {
    name: 'results are counted before they are read',
    file: 'sandbox/supervisor/results.ts',
    text: 'if (resultsIn(claimed) > calls)',
    instead: 'if (resultsIn(claimed) < 0)',
    test: RUNNER,
    only: 'cannot answer with more results than calls',
  },
  {
    name: 'a module claims only what it may',
    file: 'sandbox/supervisor/results.ts',
    text: 'isErrorCode(claimed.code) && allowed.has(claimed.code)',
    instead: 'isErrorCode(claimed.code)',
    test: GUEST,
    only: 'cannot claim what only the runner may say',
  },
  {
    name: 'a claimed time-out is no kill',
    file: 'sandbox/supervisor/sandbox.ts',
    text: '!byGuest && !envelope.ok && KILLS',
    instead: '!envelope.ok && KILLS',
    test: GUEST,
    only: 'is not counted as killed',
  },
  {
    name: 'who overstays is to blame',
    file: 'sandbox/supervisor/sandbox.ts',
    text: 'if (running.process.entered() !== id) return end();',
    instead: 'if (id > 0) return end();',
    test: 'test/escape/sandbox-time.test.ts',
    only: 'and with blame',
  },
  {
    name: 'idle isolates go before somebody is blamed',
    file: 'sandbox/supervisor/sandbox.ts',
    text: 'onPressure: () => this.#evictIsolates(running, 1),',
    instead: 'onPressure: () => undefined,',
    test: 'test/escape/sandbox-memory.test.ts',
    only: 'the garbage of modules that are idle',
  },
];

const launch: readonly Guard[] = [
  {
    name: 'no files',
    file: LAUNCH,
    text: "    '--permission',\n",
    instead: '',
    test: PROCESS,
    only: 'reads nothing outside',
  },
  {
    name: 'no network',
    file: LAUNCH,
    text: '[...(network ?? []), ...(limits ?? [])]',
    instead: '[...(limits ?? [])]',
    test: PROCESS,
    only: 'reaches no network',
  },
  {
    name: 'a uid of its own',
    file: LAUNCH,
    text: "rights && wrapper('setpriv', ...rightsArguments(own), '--')",
    instead: "rights && wrapper('setpriv', ...rightsArguments(undefined), '--')",
    test: PROCESS,
    only: 'has a uid of its own',
  },
  {
    name: 'no inspector',
    file: LAUNCH,
    text: "    '--disable-sigusr1',\n",
    instead: '',
    test: PROCESS,
    only: 'has no environment',
  },
  {
    name: 'no disk',
    file: LAUNCH,
    text: 'const FILE_BYTES = 4_096;',
    instead: 'const FILE_BYTES = 99_999_999;',
    test: PROCESS,
    only: 'cannot fill the disk',
  },
  {
    name: 'death with the host',
    file: LAUNCH,
    text: "    '--pdeathsig=KILL',\n",
    instead: '',
    test: PROCESS,
    only: 'takes its runners with it',
  },
  {
    name: 'no environment',
    file: LAUNCH,
    text: "env: {},\n        stdio: ['ignore', 'ignore'",
    instead: "env: process.env,\n        stdio: ['ignore', 'ignore'",
    test: PROCESS,
    only: 'has no environment',
  },
];

const host: readonly Guard[] = [
  {
    name: 'kills are counted',
    file: 'src/catalog/invoke.ts',
    text: 'if (outcome.killed && error !== undefined)',
    instead: 'if (outcome.killed && error === undefined)',
    test: 'test/catalog/breaker.test.ts',
    only: 'is paused with the reason',
  },
  {
    name: 'refusals are told a number of times',
    file: 'src/catalog/invoke.ts',
    text: 'if (opened.refusals > LIMITS.refusalsTold) return;',
    instead: '',
    test: 'test/escape/sandbox-log.test.ts',
    only: 'what was refused',
  },
  {
    name: 'one statement at a time',
    file: 'src/database/guard/check-statement.ts',
    text: 'if (list.length !== 1 || !isTree(tree))',
    instead: 'if (!isTree(tree))',
    test: 'test/escape/db-broker.test.ts',
    only: 'to become someone else',
  },
  {
    name: 'tables change in activate and update only',
    file: 'src/database/guard/check-statement.ts',
    text: "if (kind === 'ddl' && mode === 'dml')",
    instead: 'if (kind.length < 0)',
    test: 'test/database/guard.test.ts',
    only: '',
  },
  {
    name: 'each node of a statement is looked at',
    file: 'src/database/guard/check-statement.ts',
    text: '    checkNode(name, node);\n',
    instead: '',
    test: 'test/database/guard.test.ts',
    only: '',
  },
  {
    name: 'the connector looks once more',
    file: 'src/brokers/http/connector.ts',
    text: '      assertMayConnect(address, port, allow);\n',
    instead: '',
    test: 'test/escape/http-connector.test.ts',
    only: '',
  },
  {
    name: 'a URL holds no user',
    file: 'src/brokers/http/target.ts',
    text: "if (url.username !== '' || url.password !== '')",
    instead: 'if (url.username.length < 0)',
    test: 'test/escape/http-smuggling.test.ts',
    only: '',
  },
  {
    name: 'credentials stay behind at a redirect',
    file: 'src/brokers/http/redirect.ts',
    text: 'isElsewhere ? headersElsewhere(hop.headers) : hop.headers',
    instead: 'hop.headers',
    test: 'test/brokers/http-redirect.test.ts',
    only: '',
  },
  {
    name: 'a secret goes to its host only',
    file: 'src/brokers/http/substitution.ts',
    text: 'if (entry === undefined || matchingPattern(target, entry.hosts, settings) === undefined) return false;',
    instead: 'if (entry === undefined) return false;',
    test: 'test/brokers/http-secrets.test.ts',
    only: '',
  },
  {
    name: 'files of a package are the signed ones',
    file: 'src/store/package/read.ts',
    text: '  checkFiles(files, signed);\n',
    instead: '',
    test: 'test/escape/package-hostile.test.ts',
    only: '',
  },
  {
    name: 'a package is the version that was signed',
    file: 'src/store/package/read.ts',
    text: 'if (signed.version !== version)',
    instead: 'if (signed.version === undefined)',
    test: 'test/escape/package-hostile.test.ts',
    only: '',
  },
  {
    name: 'forms come from this origin',
    file: 'src/web/guard.ts',
    text: "    if (origin !== undefined && origin !== c.get('origin')) throw refuse('it comes from another site');\n",
    instead: '',
    test: 'test/web/guards.test.ts',
    only: '',
  },
  {
    name: 'forms carry the session’s token',
    file: 'src/web/guard.ts',
    text: 'if (given === undefined || !sameText(given, account.csrfToken))',
    instead: 'if (given === undefined)',
    test: 'test/web/guards.test.ts',
    only: '',
  },
  {
    name: 'pages run no inline script',
    file: 'src/web/headers.ts',
    text: `"script-src 'self'",`,
    instead: `"script-src 'self' 'unsafe-inline'",`,
    test: 'test/web/guards.test.ts',
    only: '',
  },
  {
    name: 'a disabled account is nobody',
    file: 'src/auth/sign-in.ts',
    text: ' || account.disabled_at !== null',
    instead: '',
    test: 'test/auth/sign-in.test.ts',
    only: 'answers an unknown, a disabled',
  },
  {
    name: 'guesses are counted before they are answered',
    file: 'src/auth/sign-in.ts',
    text: '    byAccount.fail(accountKey, time);\n',
    instead: '',
    test: 'test/auth/sign-in.test.ts',
    only: '',
  },
];

export const GUARDS: readonly Guard[] = [
  ...guest,
  ...runner,
  ...supervisor,
  ...launch,
  ...host,
  ...billingGuards,
];
