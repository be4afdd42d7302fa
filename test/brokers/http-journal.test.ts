import { describe, expect, it } from 'vitest';

import { HostError } from '../../sandbox/contract/envelope.ts';
import type { StepJournal, Verdict } from '../../src/brokers/http/journal.ts';
import {
  allowOnly,
  callHttp,
  echo,
  httpServer,
  outcomeOf,
  rawServer,
  tableResolver,
  testScope,
} from './http-support.ts';
import type { TestServer } from './http-support.ts';

const STEP = { name: 'create', number: 2 };
const RESOLVE = { resolve: tableResolver({ 'one.test': ['127.0.0.1'] }).resolve };

function journalling(verdict: Verdict = { send: { idempotencyKey: 'key-2' } }) {
  const events: string[] = [];
  const journal: StepJournal = {
    async before(_scope, step, fingerprint) {
      events.push(`before ${step.name} ${step.number} ${fingerprint}`);
      return verdict;
    },
    async answered(_scope, step, answer) {
      events.push(`answered ${step.name} ${step.number} ${answer.status}`);
    },
    async unsent(_scope, step) {
      events.push(`unsent ${step.name} ${step.number}`);
    },
  };
  return { journal, events };
}

function setting(server: TestServer, journal: StepJournal) {
  return {
    url: `http://one.test:${server.port}/a`,
    scope: testScope({ egressAllow: allowOnly(server), taskId: 'task1' }),
    grant: { hosts: [`http://one.test:${server.port}`] },
    deps: { journal, ...RESOLVE },
  };
}

describe('http in a step', () => {
  it('is noted before it is sent and stored before the module has it', async () => {
    const { journal, events } = journalling();
    await using server = await httpServer((request, response) => {
      events.push('received');
      echo(request, response);
    });
    const { url, ...call } = setting(server, journal);
    const answer = await callHttp({ method: 'POST', url, body: { text: 'x' }, step: STEP }, call);
    expect(events).toEqual([
      `before create 2 POST ${url} 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881`,
      'received',
      'answered create 2 200',
    ]);
    expect('text' in answer.body && JSON.parse(answer.body.text)).toMatchObject({
      headers: { 'idempotency-key': 'key-2' },
    });
  });

  it('keeps an Idempotency-Key of the module, and sends none with a GET', async () => {
    await using server = await httpServer(echo);
    const { url, ...call } = setting(server, journalling().journal);
    await callHttp({ method: 'POST', url, headers: [['Idempotency-Key', 'mine']], step: STEP }, call);
    await callHttp({ method: 'GET', url, step: STEP }, call);
    expect(server.requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['mine', undefined]);
  });

  it('gives the recorded answer without sending anything', async () => {
    const replay = {
      status: 201,
      statusText: '',
      headers: [],
      body: { text: 'then' },
      url: 'u',
      redirected: false,
    };
    await using server = await httpServer(echo);
    const { url, ...call } = setting(server, journalling({ replay }).journal);
    expect(await callHttp({ method: 'POST', url, step: STEP }, call)).toEqual(replay);
    expect(server.connections()).toBe(0);
  });

  it('is not sent while its step is in doubt', async () => {
    await using server = await httpServer(echo);
    const journal = {
      ...journalling().journal,
      before: async () => Promise.reject(new HostError('STEP_IN_DOUBT', 'in doubt')),
    };
    const { url, ...call } = setting(server, journal);
    expect(await outcomeOf(callHttp({ method: 'POST', url, step: STEP }, call))).toMatchObject({
      code: 'STEP_IN_DOUBT',
    });
    expect(server.connections()).toBe(0);
  });

  it('leaves no trace when a check refuses it or its host has no address', async () => {
    const { journal, events } = journalling();
    await using server = await httpServer(echo);
    const { url, ...call } = setting(server, journal);
    await outcomeOf(callHttp({ method: 'DELETE', url, step: STEP }, call));
    const missing = { ...call, deps: { journal, resolve: tableResolver({}).resolve } };
    await outcomeOf(callHttp({ method: 'POST', url, step: STEP }, missing));
    expect(events).toEqual([]);
  });

  it('may be sent again if no connection came about, and is in doubt once one did', async () => {
    const { journal, events } = journalling();
    const closed = await httpServer(echo);
    const gone = setting(closed, journal);
    await closed[Symbol.asyncDispose]();
    await outcomeOf(callHttp({ method: 'POST', url: gone.url, step: STEP }, gone));
    expect(events.splice(0)).toEqual([expect.stringMatching(/^before/), 'unsent create 2']);
    await using breaking = await rawServer((socket) => socket.once('data', () => socket.destroy()));
    const { url, ...call } = setting(breaking, journal);
    expect(await outcomeOf(callHttp({ method: 'POST', url, step: STEP }, call))).toMatchObject({
      reason: 'reset',
    });
    expect(events).toEqual([expect.stringMatching(/^before/)]);
  });

  it('stays in doubt when only a later redirect cannot be reached', async () => {
    const { journal, events } = journalling();
    const closed = await httpServer(echo);
    await closed[Symbol.asyncDispose]();
    await using server = await httpServer((_request, response) => {
      response.writeHead(307, { Location: `http://one.test:${closed.port}/` }).end();
    });
    const { url, ...call } = setting(server, journal);
    const grant = { hosts: [...call.grant.hosts, `http://one.test:${closed.port}`] };
    const scope = testScope({ taskId: 'task1', egressAllow: [...allowOnly(server), ...allowOnly(closed)] });
    await outcomeOf(callHttp({ method: 'POST', url, step: STEP }, { ...call, scope, grant }));
    expect(events).toEqual([expect.stringMatching(/^before/)]);
  });
});
