/**
 * Stripe's request bodies: forms whose names hold the structure (`line_items[0][price_data][currency]=eur`). Parsed into
 * plain objects; a list is an object with the keys 0, 1, 2 …
 */
import { isRecord } from './shape.ts';

export type Form = { readonly [key: string]: string | Form };

const MAX_DEPTH = 8;

/** A name that is no valid path is left out, as Stripe ignores what it cannot place. */
export function parseForm(body: string): Form {
  const root = emptyForm();
  for (const [name, value] of new URLSearchParams(body)) {
    const path = pathOf(name);
    if (path !== null) place(root, path, value);
  }
  return root;
}

/** The text at a path, or undefined. */
export function formText(form: Form, ...path: readonly string[]): string | undefined {
  const found = formAt(form, path);
  return typeof found === 'string' ? found : undefined;
}

/** The object at a path; empty when there is none. */
export function formObject(form: Form, ...path: readonly string[]): Form {
  const found = formAt(form, path);
  return typeof found === 'object' ? found : {};
}

/** The texts directly in an object: Stripe's metadata. */
export function formTexts(form: Form): Record<string, string> {
  const texts = Object.entries(form).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return Object.fromEntries(texts);
}

function formAt(form: Form, path: readonly string[]): string | Form | undefined {
  return path.reduce<string | Form | undefined>(
    (place, key) => (typeof place === 'object' && Object.hasOwn(place, key) ? place[key] : undefined),
    form,
  );
}

interface Writable {
  [key: string]: string | Writable;
}

/** Without a prototype, so that a field called `__proto__` is a field. */
function emptyForm(): Writable {
  const form: Writable = Object.create(null);
  return form;
}

function pathOf(name: string): string[] | null {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name);
  if (match === null) return null;
  const [, first = '', rest = ''] = match;
  const path = [first, ...[...rest.matchAll(/\[([^[\]]*)\]/g)].map((part) => part[1] ?? '')];
  return path.length > MAX_DEPTH ? null : path;
}

function place(root: Writable, path: readonly string[], value: string): void {
  let target = root;
  for (const [index, written] of path.entries()) {
    const key = written === '' ? String(Object.keys(target).length) : written;
    if (index === path.length - 1) {
      target[key] = value;
      return;
    }
    const child = target[key];
    const next: Writable = isRecord(child) ? child : emptyForm();
    target[key] = next;
    target = next;
  }
}
