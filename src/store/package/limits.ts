/**
 * What a package may weigh. One table, because each of these numbers is also a promise about memory: a package is read whole,
 * so reading the worst one costs about compressedBytes + 3 × unpackedBytes for a moment, and no bytes on disk.
 */
export const PACKAGE_LIMITS = Object.freeze({
  /** The archive as it travels. */
  compressedBytes: 8 * 1024 * 1024,
  /** The tar inside it, headers and padding included: where inflating stops, so a bomb costs no more than this. */
  unpackedBytes: 24 * 1024 * 1024,
  /** One file. */
  fileBytes: 4 * 1024 * 1024,
  /** One file that is parsed as JSON by the host: module.json and lang/*.json. */
  jsonBytes: 512 * 1024,
  /** Files in the archive, SIGNATURE.json included. */
  files: 1000,
  /** One path, in UTF-8. With segmentBytes it always fits a plain tar header, so no extension is ever needed. */
  pathBytes: 150,
  /** One part of a path, in UTF-8. */
  segmentBytes: 100,
  /** Parts in a path. */
  pathSegments: 12,
});

export type PackageLimits = Readonly<Record<keyof typeof PACKAGE_LIMITS, number>>;
