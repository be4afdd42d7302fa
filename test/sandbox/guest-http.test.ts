import { describe, expect, it } from 'vitest';

import type { OpInput, OpOutput } from '../../sandbox/contract/capabilities.ts';
import type { WireError } from '../../sandbox/contract/envelope.ts';
import type { Env } from '../../sandbox/guest/env.ts';
import { capabilityError, HttpError, NotGranted, TimeoutError } from '../../sandbox/guest/errors.ts';
import { createHttp } from '../../sandbox/guest/http.ts';
import { createAbort } from '../../sandbox/guest/web/abort.ts';
import { URL, URLSearchParams } from '../../sandbox/guest/web/url.ts';

type Input = OpInput<'http', 'request'>;
type Answer = OpOutput<'http', 'request'>;
type Reply = Partial<Answer> | { readonly error: WireError };

const HANDLE = `bhs_${'0a'.repeat(20)}`;

/** An invocation whose host gives the replies in turn, the last one for ever; timers fire at once. */
function setting(...replies: Reply[]) {
  const sent: Input[] = [];
  const pauses: number[] = [];
  const env = {
    step: undefined as Env['step'],
    async call(_capability: 'http', _op: 'request', input: Input): Promise<Answer> {
      const reply = replies[Math.min(sent.length, replies.length - 1)] ?? {};
      sent.push(input);
      if ('error' in reply) throw capabilityError(reply.error);
      return {
        status: 200,
        statusText: '',
        headers: [],
        body: { text: '' },
        url: input.url,
        redirected: false,
        ...reply,
      };
    },
    setTimer(callback: () => void, ms: number) {
      pauses.push(ms);
      queueMicrotask(callback);
      return pauses.length;
    },
  };
  return { env, sent, pauses, ...createHttp(env as unknown as Env) };
}

const failing = (reason: string, code: WireError['code'] = 'HTTP_FAILED'): Reply => ({
  error: { code, message: `http: ${reason}`, data: { reason } },
});

describe('fetch', () => {
  it('sends what the Request says and answers with a Response', async () => {
    const { fetch, sent } = setting({
      status: 404,
      statusText: 'No',
      headers: [['x-a', '1']],
      body: { text: '{"a":1}' },
      redirected: true,
      url: 'https://h.test/end',
    });
    const response = await fetch(new URL('https://h.test/a b'), {
      method: 'post',
      headers: { 'X-Q': '1' },
      body: new URLSearchParams({ k: 'v w' }),
      redirect: 'manual',
    });
    expect(sent).toEqual([
      {
        method: 'POST',
        url: 'https://h.test/a%20b',
        headers: [
          ['content-type', 'application/x-www-form-urlencoded;charset=UTF-8'],
          ['x-q', '1'],
        ],
        redirect: 'manual',
        body: { text: 'k=v+w' },
      },
    ]);
    expect([
      response.status,
      response.statusText,
      response.ok,
      response.url,
      response.redirected,
      [...response.headers],
    ]).toEqual([404, 'No', false, 'https://h.test/end', true, [['x-a', '1']]]);
    expect(await response.json()).toEqual({ a: 1 });
  });

  it('carries bytes both ways', async () => {
    const { fetch, sent } = setting({ body: { base64: '/wA=' } });
    const response = await fetch('https://h.test/', { method: 'PUT', body: new Uint8Array([1, 255]) });
    expect(sent[0]?.body).toEqual({ base64: 'Af8=' });
    expect([...(await response.bytes())]).toEqual([255, 0]);
  });

  it('refuses an unknown method, a relative URL and a body in a GET before calling the host', async () => {
    const { fetch, sent } = setting();
    await expect(fetch('https://h.test/', { method: 'TRACE' })).rejects.toThrow('no request method TRACE');
    await expect(fetch('/a')).rejects.toThrow(TypeError);
    const withBody = { method: 'head', body: 'x' };
    await expect(fetch('https://h.test/', withBody)).rejects.toThrow('no body');
    expect(sent).toEqual([]);
  });

  it('numbers the requests of a step, and sends none outside one', async () => {
    const { fetch, env, sent } = setting();
    await fetch('https://h.test/');
    env.step = { name: 'create', next: 0 };
    await fetch('https://h.test/');
    await fetch('https://h.test/');
    expect(sent.map(({ step }) => step)).toEqual([
      undefined,
      { name: 'create', number: 0 },
      { name: 'create', number: 1 },
    ]);
  });

  it('rejects with the signal’s reason, before sending and while waiting', async () => {
    const { fetch, env, sent } = setting();
    const { AbortController, AbortSignal } = createAbort(env);
    await expect(fetch('https://h.test/', { signal: AbortSignal.abort('why') })).rejects.toBe('why');
    expect(sent).toHaveLength(0);
    env.call = async () => new Promise(() => undefined);
    const controller = new AbortController();
    const waiting = fetch('https://h.test/', { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await expect(fetch('https://h.test/', { signal: AbortSignal.timeout(5) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it('takes a whole address that is a secret', async () => {
    const { fetch, sent } = setting();
    await fetch(HANDLE, { method: 'POST', body: '{}' });
    await fetch(`${HANDLE}/more?x=1`);
    expect(sent.map(({ url }) => url)).toEqual([HANDLE, `${HANDLE}/more?x=1`]);
  });

  it('rejects with errors that can be told apart', async () => {
    await expect(setting(failing('no', 'NOT_GRANTED')).fetch('https://h.test/')).rejects.toBeInstanceOf(
      NotGranted,
    );
    await expect(setting(failing('timeout')).fetch('https://h.test/')).rejects.toBeInstanceOf(TimeoutError);
    await expect(setting(failing('tls')).fetch('https://h.test/')).rejects.toMatchObject({
      name: 'CapabilityError',
      code: 'HTTP_FAILED',
      data: { reason: 'tls' },
    });
  });
});

describe('http.client', () => {
  it('joins the base with paths, queries, headers and JSON', async () => {
    const { http, sent } = setting({ status: 201, body: { text: '{"droplet":{"id":7}}' } });
    const client = http.client({
      baseURL: 'https://api.test/v2/',
      headers: { Authorization: `Bearer ${HANDLE}`, 'X-A': '1' },
      timeout: 2.5,
      connectTimeout: 0.5,
    });
    const answer = await client.post<{ droplet: { id: number } }>('/droplets', {
      json: { name: 'ż' },
      query: { page: 2, all: true, none: undefined },
      headers: { 'x-a': '2' },
    });
    expect(sent[0]).toEqual({
      method: 'POST',
      url: 'https://api.test/v2/droplets?page=2&all=true',
      headers: [
        ['accept', 'application/json, */*;q=0.5'],
        ['authorization', `Bearer ${HANDLE}`],
        ['content-type', 'application/json'],
        ['x-a', '2'],
      ],
      redirect: 'follow',
      body: { text: '{"name":"ż"}' },
      timeoutMs: 2_500,
      connectTimeoutMs: 500,
    });
    expect(answer.data.droplet.id).toBe(7);
    expect([answer.status, answer.text(), answer.json(), answer.bytes().length]).toEqual([
      201,
      '{"droplet":{"id":7}}',
      { droplet: { id: 7 } },
      20,
    ]);
  });

  it('sends whole URLs and secret addresses as they are, forms, and Basic credentials', async () => {
    const { http, sent } = setting({ body: { text: 'no json' } });
    const client = http.client({ baseURL: HANDLE });
    expect(
      (
        await client.post('https://other.test/x?a=1#f', {
          form: { a: 'b c' },
          auth: ['user', HANDLE],
          query: { b: 2 },
        })
      ).data,
    ).toBe('no json');
    await client.post('path');
    await client.get('');
    expect(sent.map(({ url }) => url)).toEqual(['https://other.test/x?a=1&b=2#f', `${HANDLE}/path`, HANDLE]);
    expect(sent[0]?.body).toEqual({ text: 'a=b+c' });
    expect(sent[0]?.headers).toContainEqual([
      'authorization',
      `Basic ${Buffer.from(`user:${HANDLE}`).toString('base64')}`,
    ]);
  });

  it('throws HttpError with status and body from 400 up', async () => {
    const { http } = setting({ status: 422, body: { text: '{"message":"no"}' } });
    const error = await http
      .client()
      .get('https://h.test/')
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(HttpError);
    expect(error).toMatchObject({
      name: 'HttpError',
      status: 422,
      body: { message: 'no' },
      message: 'GET answered 422: {"message":"no"}',
    });
  });

  it('repeats what may be repeated, with growing pauses or as Retry-After says', async () => {
    const { http, sent, pauses } = setting(
      { status: 503 },
      failing('reset'),
      { status: 429, headers: [['retry-after', '2']] },
      failing('timeout'),
      { body: { text: 'done' } },
    );
    const answer = await http.client({ retry: 4 }).get('https://h.test/');
    expect([answer.data, sent.length, pauses]).toEqual(['done', 5, [250, 500, 2_000, 2_000]]);
  });

  it('does not repeat a POST, a refusal, or more often than asked', async () => {
    const post = setting({ status: 503 });
    await expect(post.http.client({ retry: 3 }).post('https://h.test/')).rejects.toMatchObject({
      status: 503,
    });
    expect(post.sent).toHaveLength(1);
    const refused = setting(failing('no', 'NOT_GRANTED'));
    await expect(refused.http.client({ retry: 3 }).get('https://h.test/')).rejects.toBeInstanceOf(NotGranted);
    expect(refused.sent).toHaveLength(1);
    const twice = setting({ status: 503 });
    await expect(twice.http.client({ retry: 1 }).delete('https://h.test/')).rejects.toMatchObject({
      status: 503,
    });
    expect(twice.sent).toHaveLength(2);
    const never = setting({ status: 404 });
    await expect(never.http.client({ retry: 3 }).get('https://h.test/')).rejects.toMatchObject({
      status: 404,
    });
    expect(never.sent).toHaveLength(1);
  });

  it('gives each repetition within a step a number of its own', async () => {
    const { http, env, sent } = setting({ status: 503 }, {});
    env.step = { name: 'read', next: 3 };
    await http.client({ retry: 1 }).get('https://h.test/');
    expect(sent.map(({ step }) => step?.number)).toEqual([3, 4]);
  });
});
