/** What a conformance suite is made of: cases, each a sentence about every module of a type, and what its author gives to try it with. */
import type { Declaration } from '../../../sandbox/contract/declaration.ts';
import type { Manifest } from '../../../sandbox/contract/manifest.ts';
import type { Loaded, LoadOptions } from '../load.ts';
import type { Values } from '../module.ts';

export interface PaidInvoice {
  readonly uuid: string;
  /** In minor units. */
  readonly amount: number;
  readonly currency: string;
}

export interface Delivery {
  /** The very bytes that were signed. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ConformanceOptions extends LoadOptions {
  /** A product configuration the module accepts. Without it, cases that need a service are left out. */
  readonly product?: Values;
  /** What a client enters to order; {} if absent. */
  readonly order?: Values;
  /** A message that a Notification can send with these settings. */
  readonly message?: Values;
  /** A genuine webhook delivery of a Payment, which says that this invoice was paid in full. */
  readonly delivery?: (paid: PaidInvoice) => Delivery;
  /** Keys of texts that templates and code name in ways that cannot be read off the source. */
  readonly keys?: readonly string[];
}

export interface Subject {
  readonly module: Loaded<undefined>;
  readonly options: ConformanceOptions;
  readonly manifest: Manifest;
  readonly declaration: Declaration;
  /** The module's own .ts files, test/ left out: path → text. */
  readonly source: ReadonlyMap<string, string>;
  /** Path below views/ → text. */
  readonly views: ReadonlyMap<string, string>;
  /** Language → its texts. */
  readonly lang: ReadonlyMap<string, Values>;
}

export interface Case {
  /** Reads as a sentence after the module's name. */
  readonly name: string;
  /** Left out where it says nothing about this module. */
  readonly applies?: (subject: Subject) => boolean;
  readonly run: (subject: Subject) => Promise<void>;
}

/** @throws Error with the list, if there is any */
export function none(what: string, found: readonly string[]): void {
  if (found.length > 0) throw new Error(`${what}: ${[...new Set(found)].join(', ')}`);
}

export function must(holds: boolean, text: string): void {
  if (!holds) throw new Error(text);
}
