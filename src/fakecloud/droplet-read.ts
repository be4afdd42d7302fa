/** Reads what a caller of the DigitalOcean-shaped API wants created. */
import { findImage, REGIONS, SIZES } from './cloud-catalogue.ts';
import type { NewDroplet } from './droplet-store.ts';
import { isRecord } from './shape.ts';

const MAX_TAGS = 50;

/** A text back is the refusal's message; DigitalOcean names the first mistake only. */
export function readNewDroplet(input: unknown): NewDroplet | string {
  if (!isRecord(input)) return 'Unable to parse the request body as JSON.';
  const { name, tags = [] } = input;
  if (typeof name !== 'string' || !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(name)) {
    return 'Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)';
  }
  const region = REGIONS.find((candidate) => candidate.slug === input['region']);
  if (region === undefined) return 'You specified an invalid region for Droplet creation.';
  const size = SIZES.find((candidate) => candidate.slug === input['size']);
  if (size === undefined) return 'You specified an invalid size for Droplet creation.';
  const image = findImage(input['image']);
  if (image === undefined) return 'You specified an invalid image for Droplet creation.';
  const isTags = Array.isArray(tags) && tags.length <= MAX_TAGS;
  if (
    !isTags ||
    !tags.every((tag): tag is string => typeof tag === 'string' && /^[\w:-]{1,255}$/.test(tag))
  ) {
    return 'Tags may contain letters, numbers, colons, dashes, and underscores.';
  }
  return { name, region, size, image, tags };
}
