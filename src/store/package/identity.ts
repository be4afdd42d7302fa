/**
 * The few fields of module.json that the package itself depends on: they name the entry file when packing and must agree with
 * the signature when reading. Everything else in the manifest is parsed by the contract, which gets it as unknown.
 */
import semver from 'semver';
import * as v from 'valibot';
import { refusal, visible } from './refusal.ts';
import { jsonOf } from './text.ts';
import type { PackageLimits } from './limits.ts';
import type { PackageFile } from './tar.ts';

export const MODULE_JSON = 'module.json';

const StudlyName = v.pipe(
  v.string(),
  v.regex(/^[A-Z][A-Za-z0-9]{0,63}$/, 'write it in StudlyCase, letters and digits, at most 64'),
);

/** A semantic version in its one normal spelling: `1.2.0`, never `v1.2` or `=1.2.0`. */
export const Version = v.pipe(
  v.string(),
  v.maxLength(64),
  v.check((text) => semver.valid(text) === text, 'write a semantic version like 1.2.0'),
);

const Identity = v.looseObject({
  name: StudlyName,
  type: StudlyName,
  version: Version,
  logo: v.optional(v.string()),
});

export interface ModuleIdentity {
  /** module.json as it stands, for the contract to parse. */
  readonly manifest: unknown;
  /** `Product/VPSHosting`. */
  readonly name: string;
  /** `VPSHosting`: the entry is this with `.ts`. */
  readonly entryName: string;
  readonly version: string;
  /** Path of the logo inside the module, when it names one. */
  readonly logo: string | undefined;
}

/** Reads what the package needs from module.json. @throws HostError FILE_TOO_LARGE, NOT_UTF8, BAD_JSON */
export function readIdentity(file: PackageFile, limits: PackageLimits): ModuleIdentity {
  const manifest = jsonOf(file, limits);
  const parsed = v.safeParse(Identity, manifest);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw refusal(
      'BAD_JSON',
      `${MODULE_JSON}: ${v.getDotPath(issue) ?? 'the file'}: ${visible(issue.message)}`,
      { path: file.path },
    );
  }
  const { name, type, version, logo } = parsed.output;
  return {
    manifest,
    name: `${type}/${name}`,
    entryName: name,
    version,
    logo: logo === '' ? undefined : logo,
  };
}
