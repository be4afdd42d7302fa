/**
 * What the demo must know again at its next start: logins, the publisher's key, the fake cloud's ports and tokens. A file of the data
 * folder that only its owner may read; it exists for `--demo` only.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { generateKeyPair } from '../../store/package/keys.ts';

const Login = v.object({ email: v.string(), password: v.string() });
function secretKey(prefix: string): string {
  return prefix + randomBytes(18).toString('base64url');
}

const State = v.object({
  operator: Login,
  tenants: v.array(v.object({ slug: v.string(), name: v.string(), admin: Login, client: Login })),
  publisherKeyPem: v.string(),
  cloud: v.object({
    port: v.number(),
    smtpPort: v.number(),
    token: v.string(),
    controlToken: v.string(),
    /** Absent in the file of an earlier version. */
    stripeKey: v.optional(v.string(), () => secretKey('sk_test_')),
    slackToken: v.optional(v.string(), () => secretKey('T')),
    smtpPassword: v.optional(v.string(), () => secretKey('')),
  }),
});
export type DemoState = v.InferOutput<typeof State>;

const FILE = 'demo.json';

function password(): string {
  return randomBytes(9).toString('base64url');
}

function login(email: string): v.InferOutput<typeof Login> {
  return { email, password: password() };
}

function tenant(slug: string, name: string): DemoState['tenants'][number] {
  return { slug, name, admin: login(`admin@${slug}.example`), client: login(`client@${slug}.example`) };
}

function fresh(): DemoState {
  return {
    operator: login('operator@bulkhead.example'),
    tenants: [tenant('acme', 'Acme Hosting'), tenant('globex', 'Globex Cloud')],
    publisherKeyPem: generateKeyPair().privateKeyPem,
    cloud: {
      port: 0,
      smtpPort: 0,
      token: `dop_v1_${randomBytes(24).toString('hex')}`,
      controlToken: secretKey(''),
      stripeKey: secretKey('sk_test_'),
      slackToken: secretKey('T'),
      smtpPassword: secretKey(''),
    },
  };
}

/** The state of an earlier start, or a new one. */
export async function readDemoState(dataDir: string): Promise<DemoState> {
  try {
    return v.parse(State, JSON.parse(await readFile(join(dataDir, FILE), 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return fresh();
    throw error;
  }
}

/** Written whole or not at all. */
export async function writeDemoState(dataDir: string, state: DemoState): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, FILE);
  await writeFile(`${path}.new`, JSON.stringify(state, null, 2), { mode: 0o600 });
  await rename(`${path}.new`, path);
}
