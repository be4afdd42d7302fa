/**
 * What an operator should know before trusting a host: each check says what it found and, where something is missing, what that means
 * and how to mend it. Checks look; they change nothing.
 */
import { parseProxies } from '../../auth/addresses.ts';
import { openHostMail } from '../../mail/host-mail.ts';
import { statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { createLauncher } from '../../../sandbox/supervisor/launch.ts';
import { checkConnection, connectHost, type HostConnection } from '../../database/connect.ts';
import { isUnixSocket, parseEndpoint } from '../../database/endpoint.ts';

export type Verdict = 'ok' | 'warning' | 'failed';

export interface Finding {
  readonly name: string;
  readonly verdict: Verdict;
  readonly text: string;
}

export interface DoctorInput {
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nodeVersion: string;
  readonly isRoot: boolean;
  readonly platform: string;
}

const NODE_MAJOR = 24;
const POSTGRES_MAJOR = 16;
const FREE_BYTES = 2 * 1024 ** 3;
const OTHERS = 0o077;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

const finding = (name: string, verdict: Verdict, text: string): Finding => ({ name, verdict, text });

export async function runChecks(input: DoctorInput): Promise<Finding[]> {
  const database = await checkDatabase(input.env);
  return [
    checkNode(input),
    checkUids(input),
    ...checkWalls(input),
    checkPublicUrl(input.env),
    checkProxies(input.env),
    checkMail(input.env),
    checkMasterKey(input),
    await checkDisk(input.dataDir),
    ...database,
  ];
}

function checkNode({ nodeVersion }: DoctorInput): Finding {
  const major = Number(nodeVersion.split('.')[0]);
  return major >= NODE_MAJOR
    ? finding('Node', 'ok', `Node ${nodeVersion}.`)
    : finding(
        'Node',
        'failed',
        `Node ${nodeVersion} is too old: ${NODE_MAJOR} is needed. "npm start" in a checkout brings its own.`,
      );
}

function checkUids({ isRoot, platform }: DoctorInput): Finding {
  if (platform !== 'linux') {
    return finding(
      'Sandbox accounts',
      'warning',
      `On ${platform} all sandbox processes share one account: a fault in the JavaScript engine would be contained by nothing but Node's permission model. Run tenants who are strangers on Linux.`,
    );
  }
  return isRoot
    ? finding('Sandbox accounts', 'ok', 'Each tenant’s sandbox runs under a uid of its own.')
    : finding(
        'Sandbox accounts',
        'warning',
        'Not started as root: all sandbox processes share this account, and a fault in the JavaScript engine would be contained by nothing but Node’s permission model. Start as root (a container of its own is enough) where tenants are strangers.',
      );
}

/** What else keeps sandbox processes in, as far as this machine has it. */
function checkWalls({ isRoot, platform }: DoctorInput): Finding[] {
  if (platform !== 'linux') return [];
  const { noNetwork, missing } = createLauncher(isRoot).isolation;
  // The first sentence without root is about the uid, which has a finding of its own.
  const gaps = isRoot ? missing : missing.slice(1);
  const cut = noNetwork ? [finding('Sandbox network', 'ok', 'Sandbox processes see no network at all.')] : [];
  return [...cut, ...gaps.map((gap) => finding('Sandbox walls', 'warning', gap))];
}

function checkPublicUrl(env: DoctorInput['env']): Finding {
  const text = env['PUBLIC_URL'];
  if (text === undefined)
    return finding(
      'Public URL',
      'warning',
      'PUBLIC_URL is not set: the panel answers under the address it listens on only.',
    );
  const url = URL.parse(text);
  if (url === null)
    return finding(
      'Public URL',
      'failed',
      `PUBLIC_URL "${text}" is no address; write https://panel.example.com.`,
    );
  return url.protocol === 'https:' || LOOPBACK.has(url.hostname)
    ? finding('Public URL', 'ok', url.href)
    : finding('Public URL', 'warning', `${url.href} is not https: sign-ins cross the network readable.`);
}

function checkProxies(env: DoctorInput['env']): Finding {
  const name = 'Trusted proxies';
  const text = env['BULKHEAD_TRUSTED_PROXIES'] ?? '';
  if (text.trim() === '')
    return finding(name, 'ok', 'None: each request comes from where its connection comes from.');
  try {
    const all = parseProxies(text).some(([, bits]) => bits === 0);
    return all
      ? finding(name, 'warning', `${text} is everybody: anyone may say who they are. Name the proxies only.`)
      : finding(name, 'ok', text);
  } catch (error) {
    return finding(name, 'failed', error instanceof Error ? error.message : String(error));
  }
}

function checkMail(env: DoctorInput['env']): Finding {
  const name = 'Host mail';
  try {
    return openHostMail(env) === undefined
      ? finding(
          name,
          'ok',
          'None: who forgets a password asks an administrator. BULKHEAD_SMTP_URL sets it up.',
        )
      : finding(name, 'ok', `From ${env['BULKHEAD_MAIL_FROM'] ?? ''}.`);
  } catch (error) {
    return finding(name, 'failed', error instanceof Error ? error.message : String(error));
  }
}

function checkMasterKey({ dataDir, env }: DoctorInput): Finding {
  if ((env['BULKHEAD_MASTER_KEY'] ?? '') !== '')
    return finding(
      'Master key',
      'ok',
      'Taken from BULKHEAD_MASTER_KEY. Keep a copy: without it stored secrets cannot be opened.',
    );
  const path = join(dataDir, 'master.key');
  try {
    const open = (statSync(path).mode & OTHERS) !== 0;
    return open
      ? finding('Master key', 'failed', `Others may read ${path}. Run: chmod 600 ${path}`)
      : finding(
          'Master key',
          'ok',
          `${path}. Keep a copy with your backups: without it stored secrets cannot be opened.`,
        );
  } catch {
    return finding('Master key', 'ok', `None yet; the first start makes ${path}.`);
  }
}

async function checkDisk(dataDir: string): Promise<Finding> {
  try {
    const { bavail, bsize } = await statfs(dataDir);
    const free = bavail * bsize;
    const text = `${(free / 1024 ** 3).toFixed(1)} GB free at ${dataDir}.`;
    return free >= FREE_BYTES
      ? finding('Disk', 'ok', text)
      : finding('Disk', 'warning', `${text} PostgreSQL stops accepting writes when it is full.`);
  } catch {
    return finding('Disk', 'ok', `${dataDir} does not exist yet.`);
  }
}

async function checkDatabase(env: DoctorInput['env']): Promise<Finding[]> {
  const address = env['DATABASE_URL'];
  if (address === undefined)
    return [
      finding(
        'Database',
        'ok',
        'Embedded: one process on this machine. Set DATABASE_URL to use a server of yours.',
      ),
    ];
  try {
    const endpoint = parseEndpoint(address);
    await using connection = connectHost(endpoint, { max: 1 });
    await checkConnection(connection);
    const remote = !isUnixSocket(endpoint) && !LOOPBACK.has(endpoint.host);
    const tls =
      remote && endpoint.tls === undefined
        ? [
            finding(
              'Database TLS',
              'warning',
              'The connection is not encrypted: add ?sslmode=verify-full to DATABASE_URL.',
            ),
          ]
        : [];
    return [await checkServer(connection), await checkRole(connection, env), ...tls];
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return [finding('Database', 'failed', error.message)];
  }
}

async function checkServer(connection: HostConnection): Promise<Finding> {
  const [row] = await connection.sql<{ number: number; text: string }[]>`
    select current_setting('server_version_num')::int / 10000 as number, current_setting('server_version') as text`;
  const version = row ?? { number: 0, text: 'unknown' };
  return version.number >= POSTGRES_MAJOR
    ? finding('Database', 'ok', `PostgreSQL ${version.text}.`)
    : finding(
        'Database',
        'failed',
        `PostgreSQL ${version.text} is too old: ${POSTGRES_MAJOR} or newer is needed.`,
      );
}

async function checkRole(connection: HostConnection, env: DoctorInput['env']): Promise<Finding> {
  const [role] = await connection.sql<
    { name: string; makes_roles: boolean; makes_databases: boolean; superuser: boolean }[]
  >`
    select rolname as name, rolcreaterole as makes_roles, rolcreatedb as makes_databases, rolsuper as superuser from pg_roles where rolname = current_user`;
  if (role === undefined) return finding('Database role', 'failed', 'The role could not be read.');
  if (!role.superuser && !role.makes_roles)
    return finding(
      'Database role',
      'failed',
      `Grant it the right to make roles for modules: ALTER ROLE ${role.name} CREATEROLE;`,
    );
  if (!role.superuser && !role.makes_databases && env['MODULES_DATABASE_URL'] === undefined) {
    return finding(
      'Database role',
      'failed',
      `Modules live in a database of their own: ALTER ROLE ${role.name} CREATEDB; or set MODULES_DATABASE_URL.`,
    );
  }
  return role.superuser
    ? finding(
        'Database role',
        'warning',
        `${role.name} is a superuser; CREATEROLE and CREATEDB are enough, and less is safer.`,
      )
    : finding('Database role', 'ok', `${role.name} may make roles and databases and is no superuser.`);
}
