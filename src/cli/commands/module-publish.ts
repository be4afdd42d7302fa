/** `bulkhead module publish`: hands a signed package in at a store. What it is, is checked here first, as the store will. */
import { Command } from 'commander';
import * as v from 'valibot';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { parseManifest } from '../../../sandbox/contract/manifest.ts';
import { readPackage } from '../../store/package/read.ts';
import { visible } from '../../store/package/refusal.ts';
import { readInput, type Say } from './module-files.ts';

export interface PublishCommandOptions {
  /** The store's address: 'https://store.example.com', base path included. */
  readonly to: string;
  /** Its upload token; BULKHEAD_STORE_TOKEN if absent. */
  readonly token?: string | undefined;
}

const TIMEOUT_MS = 60_000;
const SHOWN_CHARACTERS = 500;
const Refused = v.object({ error: v.object({ code: v.string(), message: v.string() }) });

function addressOf(to: string): URL {
  const url = URL.parse(`${to.replace(/\/$/, '')}/store/packages`);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new HostError('BAD_INPUT', `--to ${to}: an address such as https://store.example.com is expected.`);
  if (url.protocol === 'http:' && !/^(?:127\.0\.0\.1|\[::1\]|localhost)$/.test(url.hostname))
    throw new HostError('BAD_INPUT', '--to: the token would be readable on its way; use https.');
  return url;
}

async function send(url: URL, bytes: Uint8Array, token: string): Promise<Response> {
  try {
    return await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/gzip' },
      body: Buffer.from(bytes),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw new HostError('HTTP_FAILED', `${url.origin} did not answer. Is it a store, and is it up?`, {
      cause,
    });
  }
}

/** @throws HostError with what the package, the token or the store lacks */
export async function publishFile(file: string, options: PublishCommandOptions, say: Say): Promise<void> {
  const url = addressOf(options.to);
  const { token = '' } = options;
  if (token === '')
    throw new HostError(
      'BAD_INPUT',
      'The store’s upload token is missing: set BULKHEAD_STORE_TOKEN, or give --token.',
    );
  const bytes = await readInput(file);
  const contents = await readPackage(bytes);
  parseManifest(contents.manifest);
  const response = await send(url, bytes, token);
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) {
    const refused = v.safeParse(Refused, body);
    const text = refused.success
      ? visible(refused.output.error.message).slice(0, SHOWN_CHARACTERS)
      : `it answered ${response.status}; it takes no packages, or this is no store`;
    throw new HostError('HTTP_FAILED', `${url.origin} refused: ${text}`);
  }
  say(`${contents.publisher}/${contents.name} ${contents.version} was handed in and waits in review.`);
}

/** The subcommand, for `bulkhead module`. */
export function modulePublishCommand(): Command {
  return new Command('publish')
    .description('Hand a signed package in at a store')
    .argument('<file>', 'what pack or sign wrote')
    .requiredOption('--to <address>', 'the store’s address')
    .option('--token <token>', 'its upload token', process.env['BULKHEAD_STORE_TOKEN'])
    .action(async (file: string, options: PublishCommandOptions) => {
      await publishFile(file, options, (text) => console.log(text));
    });
}
