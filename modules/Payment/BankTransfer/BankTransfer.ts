/**
 * Bank transfer: the client is told where to send the money and under which reference; a person confirms that it arrived, and the invoice
 * is paid. The README says what of this is the module guide's example and what was added to it.
 */
import { Payment } from 'bulkhead';
import type { ActionAnswer, Data, PayData, Permission, Route, SidebarEntry } from 'bulkhead';
import type { Tables } from './models/tables.ts';
import { amountText } from './services/amount.ts';
import { bankDetails, type BankDetails } from './services/bank-details.ts';
import { createTables } from './services/schema.ts';
import { Transfers } from './services/transfers.ts';

const EXPIRES_DAYS = 7;
const DAY_MS = 86_400_000;

export default class BankTransfer extends Payment<Tables> {
  private get transfers(): Transfers {
    return new Transfers(this.db);
  }

  override async activate(): Promise<string> {
    await createTables(this.db);
    return 'success';
  }

  override getModuleData(data: Data = {}): Data {
    const days = Number(data['expires_days']);
    return { ...data, expires_days: Number.isInteger(days) && days > 0 ? days : EXPIRES_DAYS };
  }

  override async getClientAreaHtml(data: PayData): Promise<string> {
    const { invoice } = data;
    const { currency, due_amount: amount } = invoice;
    const wanted = {
      invoice_uuid: invoice.uuid,
      invoice_number: invoice.number,
      instance_uuid: this.instance?.uuid ?? '',
      amount,
      currency,
    };
    const now = this.now();
    // The guide writes a row at every view; here who looks again sees the reference that was given before.
    const transfer =
      (await this.transfers.awaited(wanted, now)) ??
      (await this.transfers.add({
        ...wanted,
        reference: this.newReference(),
        expires_at: new Date(now.getTime() + Number(this.module_data['expires_days']) * DAY_MS),
      }));
    return this.view('client_area', {
      reference: transfer.reference,
      bank_details: this.getBankDetails(currency),
      amount: amountText(amount, currency, this.locale),
      currency,
      instructions: this.getTransferInstructions(transfer.reference),
      expires_at: transfer.expires_at.toISOString().slice(0, 10),
    });
  }

  private getBankDetails(currency: string): BankDetails {
    return bankDetails(this.module_data, currency);
  }

  private getTransferInstructions(reference: string): string {
    const own = this.module_data['instructions'];
    return typeof own === 'string' && own.trim() !== ''
      ? own.replaceAll('{reference}', reference)
      : this.t('instructions', { reference });
  }

  /** 'BT' and eight characters. The guide's md5 of invoice and second could be guessed and could come twice; this is random. */
  private newReference(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(4));
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return `BT${hex.toUpperCase()}`;
  }

  /** Queued by the admin's page: runs with the transfer's own instance, which is what the payment came through. */
  async confirmTransferJob(params: Data): Promise<ActionAnswer> {
    const transfer = await this.transfers.find(Number(params['id']));
    if (transfer === undefined || transfer.instance_uuid !== this.instance?.uuid)
      return { status: 'error', message: 'There is no such transfer.' };
    const { booked, invoice } = await this.invoices.recordPayment({
      invoice_uuid: transfer.invoice_uuid,
      transaction_id: transfer.reference,
      amount: transfer.amount,
      currency: transfer.currency,
    });
    await this.transfers.received(transfer.id);
    this.logInfo(
      'transfer confirmed',
      { reference: transfer.reference },
      { booked, invoice: invoice.number },
    );
    return { status: 'success', data: { booked, reference: transfer.reference } };
  }

  // Admin pages

  override adminPermissions(): Permission[] {
    return [
      {
        name: 'See transfers',
        key: 'view-transfers',
        description: 'The list of transfers that are awaited.',
      },
      {
        name: 'Confirm transfers',
        key: 'confirm-transfers',
        description: 'Say that the money of a transfer arrived, which marks its invoice paid.',
      },
    ];
  }

  override adminSidebar(): SidebarEntry[] {
    return [
      {
        title: 'Bank transfers',
        link: 'transfers',
        active_links: ['transfers'],
        permission: 'view-transfers',
        icon: 'fas fa-building-columns',
      },
    ];
  }

  override adminWebRoutes(): Route[] {
    return [
      {
        method: 'get',
        uri: 'transfers',
        permission: 'view-transfers',
        name: 'transfers',
        controller: 'BankTransferController@index',
      },
      {
        method: 'post',
        uri: 'transfers/{id}/confirm',
        permission: 'confirm-transfers',
        name: 'confirm-transfer',
        controller: 'BankTransferController@confirm',
      },
    ];
  }
}
