/**
 * What a Product may offer beside the lifecycle of its services: buttons of its own, a new password, signing on, usage, and a comparison
 * with the remote account. The shapes of what it declares and answers; all of it is hostile, so all of it is bounded.
 */
import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { ActionResult } from './module.ts';

const Key = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'a key of lower-case letters, digits and _ is expected'),
);
const Title = v.pipe(v.string(), v.minLength(1), v.maxLength(60));
const Note = v.pipe(v.string(), v.maxLength(LIMITS.careNoteCharacters));
/** A key of a module's permission, as in adminPermissions(). */
const PermissionKey = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'the key of a permission is expected'),
);

/** A click calls adminButton_{key}() or clientButton_{key}(). Titles may be keys of the module's texts. */
export const ServiceButton = v.object({
  key: Key,
  title: Title,
  icon: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^fa[a-z]? fa-[a-z0-9-]{1,40}$/, 'an icon such as "fas fa-rotate" is expected'),
    ),
  ),
  /** Asked before it is done. */
  confirm: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(300))),
  /** Of the module's own permissions, beside the panel's; only staff has them. */
  permission: v.optional(PermissionKey),
});
export type ServiceButton = v.InferOutput<typeof ServiceButton>;
export const ServiceButtons = v.pipe(
  v.array(ServiceButton),
  v.maxLength(LIMITS.declaredButtons, `at most ${LIMITS.declaredButtons} buttons are allowed`),
  v.check(
    (buttons) => new Set(buttons.map(({ key }) => key)).size === buttons.length,
    'each key may be used once',
  ),
);

/** What clients may do themselves; without a word of it, only staff may. */
export const CLIENT_ACTIONS = ['changePassword', 'singleSignOn'] as const;
export type ClientAction = (typeof CLIENT_ACTIONS)[number];
export const ClientActions = v.pipe(
  v.array(v.picklist(CLIENT_ACTIONS, 'changePassword or singleSignOn is expected')),
  v.maxLength(CLIENT_ACTIONS.length),
);

/** Who asks. */
export const Who = v.object({ kind: v.picklist(['admin', 'client']), id: v.string() });
export type Who = v.InferOutput<typeof Who>;
/** `password` is null where the module is to make one. */
export const PasswordRequest = v.object({ password: v.nullable(v.string()), who: Who });
export type PasswordRequest = v.InferOutput<typeof PasswordRequest>;
/** `data.password` is what the person is shown, once; nothing is shown without it. */
export const PasswordResult = ActionResult;
export const NewPassword = v.object({
  password: v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.passwordCharacters)),
});

/** An address, or {url}; or why there is none. */
export const SignOnResult = v.union([
  v.string(),
  v.object({ url: v.string() }),
  v.object({ status: v.literal('error'), message: v.optional(v.string()) }),
]);

const Amount = v.pipe(v.number(), v.finite(), v.minValue(0));
export const UsageMetric = v.object({
  value: Amount,
  /** Null or left out: there is none. */
  limit: v.optional(v.nullable(Amount), null),
  unit: v.optional(v.pipe(v.string(), v.maxLength(12)), ''),
  /** Where the key alone does not say it. */
  title: v.optional(Title),
});
export type UsageMetric = v.InferOutput<typeof UsageMetric>;
/** By key: disk, bandwidth, … */
export const Usage = v.pipe(
  v.record(Key, UsageMetric),
  v.check(
    (metrics) => Object.keys(metrics).length <= LIMITS.usageMetrics,
    `at most ${LIMITS.usageMetrics} metrics are allowed`,
  ),
);
export type Usage = v.InferOutput<typeof Usage>;
/** As a module writes it. */
export type UsageAnswer = v.InferInput<typeof Usage>;

const Compared = v.nullable(v.union([Note, v.number(), v.boolean()]));
export const Difference = v.object({
  field: Title,
  local: v.optional(Compared, null),
  remote: v.optional(Compared, null),
  /** True where the module has put it right itself. */
  mended: v.optional(v.boolean(), false),
});
/** 'missing': the remote account is not there. */
export const ReconcileReport = v.object({
  status: v.picklist(['in_sync', 'different', 'missing'], 'in_sync, different or missing is expected'),
  differences: v.optional(v.pipe(v.array(Difference), v.maxLength(LIMITS.reportedDifferences)), []),
  message: v.optional(Note),
});
export type ReconcileReport = v.InferOutput<typeof ReconcileReport>;
/** As a module writes it. */
export type ReconcileAnswer = v.InferInput<typeof ReconcileReport>;
