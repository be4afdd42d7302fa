/**
 * module.json: what a module is and asks for, readable without running it. Parsed once, strictly: an unknown key is an error that
 * names it and the nearest known one.
 */
import * as v from 'valibot';
import { capabilities } from './capabilities.ts';
import { HostError } from './envelope.ts';
import { type Ask, parsePermissions, unknownKey } from './grant.ts';
import { settingsReferences } from './host-pattern.ts';
import { kinds } from './kinds.ts';
import { Field } from './kinds/module.ts';
import { LIMITS } from './limits.ts';
import { refuseUnknownKeys } from './manifest-keys.ts';
import { checkEventAsks, ManifestEvents, withEventAsks } from './manifest-events.ts';
import { PlainLine, PlainLines } from './plain-text.ts';
import { ManifestSchedule } from './schedule.ts';

const Semver = v.pipe(
  v.string(),
  v.regex(/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/, 'a semantic version such as "1.0.0" is expected'),
);
const Text = (max: number) => v.pipe(v.string('a text is expected'), v.maxLength(max));

const entries = {
  $schema: v.optional(v.string()),
  name: v.pipe(
    v.string('a StudlyCase name is expected'),
    v.regex(/^[A-Z][A-Za-z0-9]{1,49}$/, 'a StudlyCase name such as "MyCloudService" is expected'),
  ),
  type: v.pipe(
    v.string(),
    v.check(
      (type) => Object.hasOwn(kinds, type),
      () => `one of ${Object.keys(kinds).join(', ')} is expected`,
    ),
  ),
  title: v.pipe(PlainLine(100), v.minLength(1)),
  description: v.optional(PlainLines(2_000), ''),
  version: Semver,
  author: v.optional(PlainLine(100), ''),
  email: v.optional(PlainLine(200), ''),
  website: v.optional(v.pipe(Text(300), v.regex(/^$|^https?:\/\//, 'an http(s) address is expected')), ''),
  logo: v.optional(
    v.pipe(
      Text(200),
      v.regex(/^[\w./-]+\.(?:png|svg|jpg|webp)$/, 'a path of a picture inside the module is expected'),
    ),
  ),
  icon: v.optional(
    v.pipe(
      Text(60),
      v.regex(/^fa[a-z]* fa-[a-z0-9-]+$/, 'Font Awesome classes such as "fas fa-server" are expected'),
    ),
    'fas fa-puzzle-piece',
  ),
  /** The range of host contract versions the module works with. */
  host: v.optional(Text(50), '^1'),
  permissions: v.optional(v.unknown(), {}),
  /** Fixed values that this.config(key) returns where the tenant's settings name none. */
  config: v.optional(v.record(v.string(), v.unknown()), {}),
  /** Typed fields that the tenant's admin fills in. */
  settings: v.optional(v.array(Field), []),
  /** Names it dispatches (without its own name in front) and names its hooks.ts hears. */
  events: v.optional(ManifestEvents, {}),
  /** Methods that run again and again. */
  schedule: v.optional(v.pipe(v.array(ManifestSchedule), v.maxLength(LIMITS.schedulesPerInstallation)), []),
} as const;
export const ManifestShape = v.object(entries);

export interface Manifest extends Omit<v.InferOutput<typeof ManifestShape>, 'permissions' | '$schema'> {
  readonly asks: readonly Ask[];
}

/** The version of this contract; a manifest's `host` range is compared with it. */
export const CONTRACT_VERSION = '1.0.0';

/** Parses a module.json. @throws HostError BAD_INPUT naming the path and what is expected there */
export function parseManifest(json: unknown): Manifest {
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new HostError('BAD_INPUT', 'module.json: an object is expected.');
  refuseUnknownKeys(ManifestShape, json, 'module.json');
  const parsed = v.safeParse(ManifestShape, json);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    throw new HostError('BAD_INPUT', `module.json: ${v.getDotPath(issue) ?? '(root)'}: ${issue.message}.`);
  }
  const { permissions, $schema: _, ...manifest } = parsed.output;
  const asks = parsePermissions(withEventAsks(permissions, manifest.name, manifest.events), capabilities);
  if (manifest.schedule.length > 0 && !asks.some((ask) => ask.capability === 'tasks'))
    throw new HostError(
      'BAD_INPUT',
      'module.json: what is in schedule runs as a job; add "tasks" to permissions.',
    );
  checkEventAsks(asks, manifest.name, manifest.events);
  checkSettingsReferences(
    asks,
    manifest.settings.map((field) => field.key),
  );
  return { ...manifest, asks };
}

/** A `{settings.x}` host must name a declared settings field, or nothing could ever be granted by it. */
function checkSettingsReferences(asks: readonly Ask[], fields: readonly string[]): void {
  for (const host of asks.flatMap((ask) => [ask.item, ...(ask.entry?.hosts ?? [])]))
    for (const field of settingsReferences(host))
      if (!fields.includes(field))
        throw unknownKey(`module.json: permissions: ${host}: settings`, field, fields);
}
