/** The numbers of stores, on both sides, each with its unit. */
export const STORE_LIMITS = Object.freeze({
  /** Modules of one page of a list, */
  pageEntries: 50,
  /** pages that a panel reads, */
  pages: 20,
  /** and versions of one module, the newest. */
  versions: 100,
  /** One answer in JSON. */
  jsonBytes: 1024 * 1024,
  /** One answer in JSON, from the question to its last byte. */
  jsonMs: 5_000,
  /** One package. */
  packageMs: 60_000,
  connectMs: 5_000,
  /** A panel asks a store again after this, */
  listMs: 30_000,
  /** and one that was away after this. */
  awayMs: 10_000,
  /** A store is asked this often what it took back of what is installed here, */
  takenBackMs: 60 * 60_000,
  /** whose turn it is, this often, */
  takenBackRoundMs: 5 * 60_000,
  /** and of so many versions in one turn. */
  takenBackModules: 200,
  /** Stores of one panel. */
  stores: 20,
  /** What a store takes of one sender a minute: questions, and packages. */
  questionsPerMinute: 300,
  packagesPerMinute: 60,
});
