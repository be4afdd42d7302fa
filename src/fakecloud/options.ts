/**
 * What a fake cloud is started with. It is a process, so its options travel as FAKECLOUD_* variables; whatever is left out
 * gets a default, secrets a random one. The table below is both directions: the parent writes with it, the child reads.
 */
import { freshToken } from './secrets.ts';
import { ShapeError } from './shape.ts';

export interface FakeCloudOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly smtpPort: number;
  /** The DigitalOcean-shaped API's bearer token. */
  readonly cloudToken: string;
  /** The Stripe-shaped API's secret keys; each is an account of its own. */
  readonly stripeKeys: readonly string[];
  readonly slackToken: string;
  readonly smtpUsername: string;
  readonly smtpPassword: string;
  /** Whether the mail server refuses MAIL before AUTH. */
  readonly smtpAuthRequired: boolean;
  readonly controlToken: string;
  readonly provisioningMs: number;
  readonly actionMs: number;
  /** The pauses before a webhook's second, third … attempt. */
  readonly webhookRetryMs: readonly number[];
  /** A webhook endpoint of the first Stripe account that exists from the start. */
  readonly webhookUrl: string | null;
  readonly dropletLimit: number;
}

const HOUR_MS = 3_600_000;
const MAX_PORT = 65_535;
const MAX_DROPLETS = 500;

type Written = FakeCloudOptions[keyof FakeCloudOptions];
type Reader<T> = (written: string | undefined, name: string) => T;
type Table = {
  readonly [K in keyof FakeCloudOptions]: readonly [name: string, read: Reader<FakeCloudOptions[K]>];
};

const TABLE: Table = {
  port: ['FAKECLOUD_PORT', whole(0, MAX_PORT)],
  smtpPort: ['FAKECLOUD_SMTP_PORT', whole(0, MAX_PORT)],
  cloudToken: ['FAKECLOUD_TOKEN', secret('dop_v1_')],
  stripeKeys: [
    'FAKECLOUD_STRIPE_KEYS',
    (written, name) => (written ?? secret('sk_test_')(undefined, name)).split(','),
  ],
  slackToken: ['FAKECLOUD_SLACK_TOKEN', secret('T')],
  smtpUsername: ['FAKECLOUD_SMTP_USERNAME', (written) => written ?? 'demo'],
  smtpPassword: ['FAKECLOUD_SMTP_PASSWORD', (written) => written ?? freshToken('')],
  smtpAuthRequired: ['FAKECLOUD_SMTP_AUTH_REQUIRED', (written) => written !== 'false'],
  controlToken: ['FAKECLOUD_CONTROL_TOKEN', secret('ctl_')],
  provisioningMs: ['FAKECLOUD_PROVISIONING_MS', whole(5_000, 24 * HOUR_MS)],
  actionMs: ['FAKECLOUD_ACTION_MS', whole(2_000, 24 * HOUR_MS)],
  webhookRetryMs: [
    'FAKECLOUD_WEBHOOK_RETRY_MS',
    (written, name) => readPauses(written ?? '1000,5000,15000,60000', name),
  ],
  webhookUrl: ['FAKECLOUD_WEBHOOK_URL', (written) => written ?? null],
  dropletLimit: ['FAKECLOUD_DROPLET_LIMIT', whole(100, MAX_DROPLETS)],
};

/** @throws ShapeError that names the variable */
export function readOptions(env: Readonly<Record<string, string | undefined>>): FakeCloudOptions {
  const read = <T>([name, reader]: readonly [string, Reader<T>]): T => {
    const written = env[name];
    return reader(written === '' && name !== 'FAKECLOUD_WEBHOOK_RETRY_MS' ? undefined : written, name);
  };
  return {
    port: read(TABLE.port),
    smtpPort: read(TABLE.smtpPort),
    cloudToken: read(TABLE.cloudToken),
    stripeKeys: read(TABLE.stripeKeys),
    slackToken: read(TABLE.slackToken),
    smtpUsername: read(TABLE.smtpUsername),
    smtpPassword: read(TABLE.smtpPassword),
    smtpAuthRequired: read(TABLE.smtpAuthRequired),
    controlToken: read(TABLE.controlToken),
    provisioningMs: read(TABLE.provisioningMs),
    actionMs: read(TABLE.actionMs),
    webhookRetryMs: read(TABLE.webhookRetryMs),
    webhookUrl: read(TABLE.webhookUrl),
    dropletLimit: read(TABLE.dropletLimit),
  };
}

/** The variables that say the same as `options`. */
export function writeOptions(options: Partial<FakeCloudOptions>): Record<string, string> {
  const given = new Map<string, Written>(Object.entries(options));
  const written = Object.entries(TABLE).flatMap(([key, [name]]) => {
    const value = given.get(key) ?? null;
    return value === null ? [] : [[name, String(value)] as const];
  });
  return Object.fromEntries(written);
}

function whole(fallback: number, max: number): Reader<number> {
  return (written, name) => {
    if (written === undefined) return fallback;
    const value = Number(written);
    if (!/^\d+$/.test(written) || value > max)
      throw new ShapeError(`${name}: must be a whole number up to ${max}`);
    return value;
  };
}

function secret(prefix: string): Reader<string> {
  return (written, name) => {
    if (written !== undefined && !/^[\x21-\x7e]+$/.test(written))
      throw new ShapeError(`${name}: visible ASCII only`);
    return written ?? freshToken(prefix);
  };
}

/** Numbers with commas between; an empty text means no second attempt. */
function readPauses(written: string, name: string): number[] {
  return written === '' ? [] : written.split(',').map((part) => whole(0, HOUR_MS)(part, name));
}
