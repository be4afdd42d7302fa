/**
 * What the fake cloud sells. Regions, sizes and image names are those of the module guide's VPS example, so that it runs
 * unchanged; DigitalOcean's own spelling of an image is accepted beside the guide's.
 */
export interface Size {
  readonly slug: string;
  readonly memory: number;
  readonly vcpus: number;
  readonly disk: number;
  readonly transfer: number;
  readonly price_monthly: number;
}

export interface Region {
  readonly slug: string;
  readonly name: string;
}

export interface Image {
  readonly id: number;
  readonly slug: string;
  readonly name: string;
  readonly distribution: string;
}

export const REGIONS: readonly Region[] = [
  { slug: 'us-east-1', name: 'US East 1' },
  { slug: 'us-west-1', name: 'US West 1' },
  { slug: 'eu-west-1', name: 'EU West 1' },
];

/** Memory in MiB, disk in GiB, transfer in TiB, price in dollars, as DigitalOcean counts them. */
export const SIZES: readonly Size[] = [
  { slug: 's-1vcpu-1gb', memory: 1024, vcpus: 1, disk: 25, transfer: 1, price_monthly: 6 },
  { slug: 's-2vcpu-2gb', memory: 2048, vcpus: 2, disk: 60, transfer: 3, price_monthly: 18 },
  { slug: 's-4vcpu-8gb', memory: 8192, vcpus: 4, disk: 160, transfer: 5, price_monthly: 48 },
  { slug: 'custom', memory: 16_384, vcpus: 8, disk: 320, transfer: 6, price_monthly: 96 },
];

export const IMAGES: readonly Image[] = [
  { id: 1001, slug: 'ubuntu-20.04', name: '20.04 (LTS) x64', distribution: 'Ubuntu' },
  { id: 1002, slug: 'ubuntu-22.04', name: '22.04 (LTS) x64', distribution: 'Ubuntu' },
  { id: 1003, slug: 'ubuntu-24.04', name: '24.04 (LTS) x64', distribution: 'Ubuntu' },
  { id: 1004, slug: 'debian-11', name: '11 x64', distribution: 'Debian' },
  { id: 1005, slug: 'debian-12', name: '12 x64', distribution: 'Debian' },
  { id: 1006, slug: 'centos-stream-9', name: 'Stream 9 x64', distribution: 'CentOS' },
  { id: 1007, slug: 'almalinux-9', name: '9 x64', distribution: 'AlmaLinux' },
  { id: 1008, slug: 'rocky-9', name: '9 x64', distribution: 'Rocky Linux' },
];

export function findImage(wanted: unknown): Image | undefined {
  return IMAGES.find((image) => {
    const ownSpelling = `${image.slug.replaceAll('.', '-')}-x64`;
    return image.id === wanted || image.slug === wanted || ownSpelling === wanted;
  });
}

export function regionJson(region: Region): Record<string, unknown> {
  const sizes = SIZES.map((size) => size.slug);
  return { ...region, sizes, available: true, features: ['metrics', 'backups'] };
}

export function sizeJson(size: Size): Record<string, unknown> {
  const hourly = Math.round((size.price_monthly / 672) * 100_000) / 100_000;
  return { ...size, price_hourly: hourly, regions: REGIONS.map((region) => region.slug), available: true };
}

export function imageJson(image: Image): Record<string, unknown> {
  return {
    ...image,
    type: 'base',
    public: true,
    regions: REGIONS.map((region) => region.slug),
    min_disk_size: 10,
    size_gigabytes: 2.5,
    status: 'available',
    created_at: '2024-04-25T00:00:00Z',
  };
}
