/** What of the provider's answers is read, and nothing else: an answer of another shape is an error and no surprise later. */
import { v } from 'bulkhead';

const Id = v.pipe(
  v.union([v.string(), v.number()]),
  v.transform((id) => String(id)),
);

const Droplet = v.object({
  id: Id,
  name: v.string(),
  status: v.string(),
  size_slug: v.string(),
  networks: v.object({ v4: v.array(v.object({ ip_address: v.string() })) }),
});
export type Droplet = ReturnType<typeof v.parse<typeof Droplet>>;
export const DropletAnswer = v.object({ droplet: Droplet });
export const DropletsAnswer = v.object({ droplets: v.array(Droplet) });

export const ActionAnswer = v.object({ action: v.object({ id: Id, status: v.string() }) });

const Snapshot = v.object({
  id: Id,
  name: v.string(),
  size_gigabytes: v.number(),
  created_at: v.string(),
});
export type Snapshot = ReturnType<typeof v.parse<typeof Snapshot>>;
export const SnapshotsAnswer = v.object({ snapshots: v.array(Snapshot) });

export const ConsoleAnswer = v.object({ console_url: v.pipe(v.string(), v.regex(/^https?:\/\//)) });

export const AccountAnswer = v.object({ account: v.object({ email: v.string(), status: v.string() }) });

const Used = v.object({ used: v.number(), limit: v.number() });
const Usage = v.object({ disk_gb: Used, bandwidth_gb: Used });
export type Usage = ReturnType<typeof v.parse<typeof Usage>>;
export const UsageAnswer = v.object({ usage: Usage });

/** Series of points [unix seconds, value], oldest first. */
const Metrics = v.object({
  unit: v.record(v.string(), v.string()),
  series: v.record(v.string(), v.array(v.tuple([v.number(), v.number()]))),
});
export type Metrics = ReturnType<typeof v.parse<typeof Metrics>>;
export const MetricsAnswer = v.object({ metrics: Metrics });
