/** What a test and the server that it means to kill say to each other: a line of JSON each. */
import * as v from 'valibot';

export const Settings = v.object({
  dataDir: v.string(),
  /** Absent: an embedded one under dataDir. */
  databaseUrl: v.optional(v.string()),
  modulesDatabaseUrl: v.optional(v.string()),
  serve: v.optional(v.boolean(), true),
  work: v.optional(v.boolean(), true),
  /** Where to stop for ever. */
  checkpoint: v.optional(v.string()),
});
export type Settings = v.InferInput<typeof Settings>;

/** From the test. */
export const Line = v.object({ id: v.number(), op: v.string(), args: v.unknown() });

/** From the server. */
export const Said = v.union([
  v.object({ ready: v.literal(true), url: v.nullable(v.string()) }),
  v.object({ checkpoint: v.string() }),
  v.object({ id: v.number(), error: v.object({ code: v.string(), message: v.string() }) }),
  v.object({ id: v.number(), value: v.unknown() }),
]);
export type Said = v.InferOutput<typeof Said>;
