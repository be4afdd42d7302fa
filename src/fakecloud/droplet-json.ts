/** Droplets, actions and snapshots as DigitalOcean writes them. */
import { imageJson, regionJson, sizeJson } from './cloud-catalogue.ts';
import type { Action, Droplet, DropletStore, Snapshot } from './droplet-store.ts';

export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

export function dropletJson(store: DropletStore, droplet: Droplet): Record<string, unknown> {
  const { id, name, size, image, region, status, address } = droplet;
  const v4 = { ip_address: address, netmask: '255.255.255.0', gateway: gatewayOf(address), type: 'public' };
  const snapshots = store.snapshots().filter((snapshot) => snapshot.dropletId === id);
  return {
    id,
    name,
    memory: size.memory,
    vcpus: size.vcpus,
    disk: size.disk,
    locked: store.pending(id) !== undefined,
    status,
    created_at: isoSeconds(droplet.createdMs),
    features: ['monitoring'],
    backup_ids: [],
    snapshot_ids: snapshots.map((snapshot) => snapshot.id),
    volume_ids: [],
    image: imageJson(image),
    size: sizeJson(size),
    size_slug: size.slug,
    networks: { v4: status === 'new' ? [] : [v4], v6: [] },
    region: regionJson(region),
    tags: droplet.tags,
  };
}

export function actionJson(action: Action): Record<string, unknown> {
  return {
    id: action.id,
    status: action.completedMs === null ? 'in-progress' : 'completed',
    type: action.type,
    started_at: isoSeconds(action.startedMs),
    completed_at: action.completedMs === null ? null : isoSeconds(action.completedMs),
    resource_id: action.dropletId,
    resource_type: 'droplet',
    region: regionJson(action.region),
    region_slug: action.region.slug,
  };
}

export function snapshotJson(snapshot: Snapshot): Record<string, unknown> {
  return {
    id: snapshot.id,
    name: snapshot.name,
    distribution: snapshot.image.distribution,
    slug: null,
    public: false,
    regions: [snapshot.region.slug],
    created_at: isoSeconds(snapshot.createdMs),
    min_disk_size: snapshot.diskGb,
    size_gigabytes: Math.round(snapshot.diskGb * 9) / 100,
    type: 'snapshot',
    resource_id: String(snapshot.dropletId),
    resource_type: 'droplet',
  };
}

function gatewayOf(address: string): string {
  return `${address.slice(0, address.lastIndexOf('.'))}.254`;
}
