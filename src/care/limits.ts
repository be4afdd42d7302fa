/** Numbers of what modules do with services beside their lifecycle. */
export const CARE_LIMITS = Object.freeze({
  /** How often somebody may have a module do something with one service, or test one installation's connection. */
  actionsAMinute: 20,
  passwordCharactersMin: 8,
  usageEveryMs: 3_600_000,
  reconcileEveryMs: 86_400_000,
  /** How often the host looks whom to ask. */
  roundEveryMs: 60_000,
  /** Services asked in one round, of all tenants and of one. */
  servicesARound: 60,
  servicesOfATenantARound: 10,
  /** Asked at once. */
  askedAtOnce: 4,
  addressCharacters: 4_000,
});
