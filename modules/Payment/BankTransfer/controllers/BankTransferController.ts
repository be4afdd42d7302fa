/** The admin's page of transfers: which are awaited, and the button that says one has arrived. */
import { Controller, json, type IncomingRequest, type Reply } from 'bulkhead';
import { TRANSFER_STATUSES, type Tables, type TransferStatus } from '../models/tables.ts';
import { amountText } from '../services/amount.ts';
import { Transfers } from '../services/transfers.ts';

const PAGE_SIZE = 50;
const CONFIRM = 'Payment-BankTransfer-confirm-transfers';

function statusOf(value: unknown): TransferStatus | undefined {
  return TRANSFER_STATUSES.find((status) => status === value);
}

function pageOf(value: unknown): number {
  const page = Number(value);
  return Number.isInteger(page) && page > 0 ? page : 1;
}

export default class BankTransferController extends Controller<Tables> {
  async index(request: IncomingRequest): Promise<string> {
    const status = statusOf(request.input('status'));
    const page = pageOf(request.input('page'));
    const { rows, total } = await new Transfers(this.db).page({ status, page, size: PAGE_SIZE });
    const now = this.now();
    return this.view('admin_area.transfers', {
      transfers: rows.map((row) => ({
        ...row,
        amount_text: amountText(row.amount, row.currency, this.locale),
        is_late: row.status === 'awaiting_transfer' && row.expires_at < now,
      })),
      total,
      status: status ?? '',
      statuses: TRANSFER_STATUSES,
      page,
      pages: Math.max(1, Math.ceil(total / PAGE_SIZE)),
      may_confirm: this.auth?.hasPermission(CONFIRM) ?? false,
    });
  }

  /** A page cannot record a payment: a task does, with the settings of the account that the client was told. */
  async confirm(request: IncomingRequest): Promise<Reply> {
    const transfer = await new Transfers(this.db).find(Number(request.params['id']));
    if (transfer === undefined)
      return json({ success: false, message: this.t('transfers.no_such_transfer') }, 404);
    if (transfer.status === 'received')
      return json({ success: false, message: this.t('transfers.received_before') }, 409);
    await this.tasks.add({
      method: 'confirmTransferJob',
      params: { id: transfer.id },
      instance: transfer.instance_uuid,
      tries: 3,
      tags: ['bank_transfer', `invoice:${transfer.invoice_uuid}`],
    });
    this.logInfo('confirm', { reference: transfer.reference });
    return json({ success: true, message: this.t('transfers.is_recorded') });
  }
}
