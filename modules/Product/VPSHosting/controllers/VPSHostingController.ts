/** The module's admin pages: servers, and the images that clients may order. */
import { Controller, json, type IncomingRequest, type Reply } from 'bulkhead';
import { SERVER_STATUSES, type ServerStatus, type Tables } from '../models/tables.ts';
import { Servers } from '../services/servers.ts';

const PAGE_SIZE = 50;
const MANAGE_IMAGES = 'Product-VPSHosting-manage-images';

function statusOf(value: unknown): ServerStatus | undefined {
  return SERVER_STATUSES.find((status) => status === value);
}

function pageOf(value: unknown): number {
  const page = Number(value);
  return Number.isInteger(page) && page > 0 ? page : 1;
}

export default class VPSHostingController extends Controller<Tables> {
  async servers(request: IncomingRequest): Promise<string> {
    const status = statusOf(request.input('status'));
    const page = pageOf(request.input('page'));
    const { rows, total } = await new Servers(this.db).page({ status, page, size: PAGE_SIZE });
    return this.view('admin_area.servers', {
      servers: rows,
      total,
      status: status ?? '',
      statuses: SERVER_STATUSES,
      page,
      pages: Math.max(1, Math.ceil(total / PAGE_SIZE)),
    });
  }

  async images(): Promise<string> {
    const images = await this.db
      .selectFrom('vps_images')
      .selectAll()
      .orderBy('os_family')
      .orderBy('version')
      .execute();
    return this.view('admin_area.images', {
      images,
      may_manage: this.auth?.hasPermission(MANAGE_IMAGES) ?? false,
    });
  }

  /** Turns an image on or off for new orders; servers that have it are not touched. */
  async toggleImage(request: IncomingRequest): Promise<Reply> {
    const imageId = Number(request.params['id']);
    if (!Number.isSafeInteger(imageId)) return json({ success: false, message: 'Image not found' }, 404);
    const image = await this.db
      .updateTable('vps_images')
      .set((row) => ({ active: row.not('active'), updated_at: new Date() }))
      .where('id', '=', imageId)
      .returning(['image_id', 'active'])
      .executeTakeFirst();
    if (image === undefined) return json({ success: false, message: 'Image not found' }, 404);
    this.logInfo('toggleImage', image);
    return json({
      success: true,
      data: image,
      message: this.t(image.active ? 'images.is_on' : 'images.is_off'),
    });
  }
}
