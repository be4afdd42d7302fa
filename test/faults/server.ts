/**
 * The real server as a process of its own, to be killed. It is told what to do by lines of JSON on its standard input, one use case a
 * line, and answers on its standard output. At the checkpoint that was armed it says so and waits for ever, for the SIGKILL that is
 * to come. It ends, in good order, when its standard input does: a test that dies leaves nothing behind.
 */
import { jumpClock } from './clock.ts';
import { readFileSync, writeFileSync } from 'node:fs';
import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { HostError } from '../../sandbox/contract/envelope.ts';
import { startServer } from '../../src/main.ts';
import { seedTenant } from '../support/host.ts';
import { newInvoice } from '../support/invoices.ts';
import { Tenant } from '../support/tenant.ts';
import { Line, Settings } from './protocol.ts';

/** A dead worker is found in about a second, and what is due is looked for often. */
const TIMING = { beatMs: 400, beatsMissed: 3, sweepMs: 300, pollMs: 50, hookRetryS: 0 };

const settings = v.parse(v.pipe(v.string(), v.parseJson(), Settings), process.env['FAULTS_SERVER']);
let armed = settings.checkpoint;
/** Where the sandbox processes are killed. */
let struck: string | undefined;

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const { serve, work, dataDir, databaseUrl, modulesDatabaseUrl } = settings;
const server = await startServer({
  dataDir,
  databaseUrl,
  modulesDatabaseUrl,
  host: '127.0.0.1',
  port: 0,
  roles: { serve, work },
  timing: TIMING,
  log: (level, message, detail) =>
    void process.stderr.write(
      `${level}: ${message} ${detail instanceof Error ? (detail.stack ?? '') : ''}\n`,
    ),
  checkpoint: async (name) => {
    if (name === struck) for (const { pid } of bulkhead.sandbox.stats()) process.kill(pid, 'SIGKILL');
    if (name !== armed) return;
    say({ checkpoint: name });
    await new Promise(() => undefined);
  },
});
const { bulkhead } = server;

const Named = v.object({ slug: v.string(), name: v.string() });
const tenantOf = async (args: unknown): Promise<{ a: Tenant; name: string }> => {
  const { slug, name } = v.parse(Named, args);
  return { a: await Tenant.find(bulkhead, slug), name };
};
const filler = join(dataDir, 'filler');

/** What can be asked for. */
const OPS: Readonly<Record<string, (args: unknown) => Promise<unknown>>> = {
  arm: async (name) => {
    armed = v.parse(v.string(), name);
  },
  strike: async (name) => {
    struck = v.parse(v.string(), name);
  },
  runners: async () => bulkhead.sandbox.stats().map(({ pid }) => pid),
  prepare: async (args) => {
    const { name, versionId, ports, settings: values } = v.parse(Prepare, args);
    const a = await seedTenant(bulkhead, ports);
    const { installationId } =
      versionId === undefined
        ? await a.install(name)
        : await a.panel.catalog.install({ tenantId: a.id, versionId, accountId: a.adminId });
    await a.grant(name);
    await a.saveSettings(name, values);
    return { slug: a.slug, name, installationId };
  },
  install: async (args) => {
    const { a, name } = await tenantOf(args);
    await a.install(name);
  },
  enable: async (args) => {
    const { a, name } = await tenantOf(args);
    await a.enable(name);
  },
  disable: async (args) => {
    const { a, name } = await tenantOf(args);
    await a.disable(name);
  },
  purge: async (args) => {
    const { a, name } = await tenantOf(args);
    await a.panel.catalog.purge(await a.installationId(name), a.adminId);
  },
  choose: async (args) => {
    const { a, name } = await tenantOf(args);
    await a.update(name, v.parse(v.object({ versionId: v.string() }), args).versionId);
  },
  call: async (args) => {
    const { a, name } = await tenantOf(args);
    const { method, params } = v.parse(Call, args);
    return a.call(name, method, ...params);
  },
  order: async (args) => {
    const { a, name } = await tenantOf(args);
    const { product, data } = v.parse(Order, args);
    return a.order(await a.product(name, `${name} for sale`, product), data);
  },
  account: async (args) => {
    const { a, name } = await tenantOf(args);
    const { settings: values } = v.parse(v.object({ settings: v.record(v.string(), v.unknown()) }), args);
    const instanceId = await a.newInstance(name, 'Main', values);
    return { instanceId, hookId: (await a.hook(instanceId)).split('/').at(-1) };
  },
  instance: async (args) => {
    const { a, name } = await tenantOf(args);
    const { settings: values } = v.parse(v.object({ settings: v.record(v.string(), v.unknown()) }), args);
    return a.newInstance(name, 'Main', values);
  },
  invoice: async (args) => {
    const { a } = await tenantOf(args);
    return newInvoice(a, v.parse(v.object({ amountMinor: v.number() }), args).amountMinor);
  },
  deliver: async (args) => {
    const { hookId, body, headers } = v.parse(Delivery, args);
    const request = new Request(`http://127.0.0.1/hooks/${hookId}`, {
      method: 'POST',
      body,
      headers: [['content-type', 'application/json'], ...headers],
    });
    const url = new URL(bulkhead.panel.publicUrl);
    const { status } = await bulkhead.app.fetch(new Request(new URL(`/hooks/${hookId}`, url), request));
    return { status };
  },
  refund: async (args) => {
    const { a } = await tenantOf(args);
    const { invoiceId, paymentId, amountMinor } = v.parse(Refund, args);
    const whose = { tenantId: a.id, accountId: a.adminId };
    return a.panel.gateways.refund({ ...whose, invoiceId, paymentId, amountMinor, reason: 'asked' });
  },
  publish: async (path) => {
    const bytes = readFileSync(v.parse(v.string(), path));
    return (await bulkhead.publish(bytes, { status: 'published' })).versionId;
  },
  jump: async (ms) => jumpClock(v.parse(v.number(), ms)),
  markDone: async (args) => bulkhead.panel.jobs.markStepDone(v.parse(MarkDone, args)),
  fill: async () => {
    const { bavail, bsize } = await statfs(dataDir);
    try {
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize)));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    }
  },
  free: async () => rm(filler),
};
const Prepare = v.object({
  name: v.string(),
  /** The newest if absent. */
  versionId: v.optional(v.string()),
  ports: v.optional(v.array(v.number()), []),
  settings: v.optional(v.record(v.string(), v.unknown()), {}),
});
const Delivery = v.object({
  hookId: v.string(),
  body: v.string(),
  headers: v.array(v.tuple([v.string(), v.string()])),
});
const Refund = v.object({ invoiceId: v.string(), paymentId: v.string(), amountMinor: v.number() });
const Call = v.object({ method: v.string(), params: v.array(v.unknown()) });
const Order = v.object({
  product: v.record(v.string(), v.unknown()),
  data: v.record(v.string(), v.unknown()),
});
const MarkDone = v.object({
  taskId: v.string(),
  step: v.string(),
  value: v.unknown(),
  accountId: v.string(),
});

async function answer(line: string): Promise<void> {
  const { id, op, args } = v.parse(v.pipe(v.string(), v.parseJson(), Line), line);
  const work = OPS[op];
  try {
    if (work === undefined) throw new HostError('NOT_FOUND', `there is no ${op}`);
    say({ id, value: (await work(args)) ?? null });
  } catch (error) {
    const code = error instanceof HostError ? error.code : 'THROWN';
    say({ id, error: { code, message: error instanceof Error ? error.message : String(error) } });
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => void answer(line));
lines.on('close', () => void server.close().then(() => process.exit(0)));
say({ ready: true, url: server.url ?? null });
