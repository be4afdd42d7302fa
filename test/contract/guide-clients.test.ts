/** What the guide's API clients ask of the host, read at the boundary: times in seconds become milliseconds of the request. */
import { expect, it } from 'vitest';
import { readPackage } from '../../src/store/package/read.ts';
import { fixtureFolder, packFolder, shippedFolder } from '../support/modules.ts';
import { type CallOptions, useSandbox } from '../support/sandbox.ts';

const { value } = useSandbox();

async function scriptOf(folder: string): Promise<string> {
  return (await readPackage(await packFolder(folder))).script;
}

const HANDLE = `bhs_${'0'.repeat(40)}`;
const NO_ROWS = { columns: [], rows: [], affected: 0 };

interface Request {
  readonly url: string;
  readonly timeoutMs: number;
  readonly connectTimeoutMs?: number;
  readonly headers: readonly (readonly [string, string])[];
}

/** Calls a method of a module whose host refuses every request, and gives the requests that it wanted to send. */
async function requestsOf(
  folder: string,
  method: string,
  args: unknown[],
  context: CallOptions['context'] = {},
) {
  const wanted: Request[] = [];
  await value(await scriptOf(folder), method, args, {
    context,
    onCall: async (path, input) => {
      if (path === 'http.request') wanted.push(input as Request);
      if (path.startsWith('db.')) return NO_ROWS;
      throw new Error('not from here');
    },
  }).catch(() => undefined);
  return wanted;
}

it('the professional client waits 30 seconds, 10 of them for the connection [AC-07 AC-08]', async () => {
  const config = { api_url: 'https://api.example.com' };
  const [request] = await requestsOf(fixtureFolder('Product/GuidePractices'), 'provisionAccount', [], {
    config,
  });
  expect(request).toMatchObject({
    url: 'https://api.example.com/servers',
    timeoutMs: 30_000,
    connectTimeoutMs: 10_000,
  });
});

it('VPS Hosting’s client waits 30 seconds and sends its headers [VAC-03]', async () => {
  const config = { api_url: 'https://api.example.com' };
  const context = {
    config,
    secrets: { api_key: HANDLE },
    service: { uuid: '11111111-1111-4111-8111-111111111111', data: {}, provision_data: {} },
  };
  // No row of the service: the module looks for its server at the provider.
  const [request] = await requestsOf(shippedFolder('Product/VPSHosting'), 'terminationJob', [{}], context);
  expect(request).toMatchObject({
    timeoutMs: 30_000,
    headers: expect.arrayContaining([
      ['authorization', `Bearer ${HANDLE}`],
      ['content-type', 'application/json'],
    ]),
  });
});

const SLACK = shippedFolder('Notification/SlackNotification');
const MESSAGE = {
  to: 'x',
  subject: 's',
  title: 'Disk full',
  message: 'On web-1',
  type: 'error',
  module: 'Monitoring',
};

it('the Slack client, made in the constructor, waits 10 seconds [SLK-02 SLK-06]', async () => {
  const instance = { uuid: '11111111-1111-4111-8111-111111111111', name: 'Main' };
  const config = { webhook_url: 'https://hooks.slack.com/services/T/B/x' };
  const [request] = await requestsOf(SLACK, 'send', [MESSAGE], { instance, config });
  expect(request).toMatchObject({ url: config.webhook_url, timeoutMs: 10_000 });
});

it('a Slack message carries title, text and module as they were given [SLK-11..SLK-17 SLK-25]', async () => {
  expect(await value(await scriptOf(SLACK), 'buildSlackMessage', [MESSAGE])).toMatchObject({
    attachments: [
      {
        color: 'danger',
        title: 'Disk full',
        text: 'On web-1',
        fields: [
          { title: 'Time', short: true },
          { title: 'Module', value: 'Monitoring', short: true },
        ],
      },
    ],
  });
});
