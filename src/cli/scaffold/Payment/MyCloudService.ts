/** My Cloud Service: which way of paying it offers. All amounts are whole numbers of minor units. */
import { Payment, response, v } from 'bulkhead';
import type { Data, IncomingRequest, PayData, Reply } from 'bulkhead';

const SIGNATURE = 'x-signature';

const Paid = v.object({
  type: v.literal('payment.succeeded'),
  invoice: v.pipe(v.string(), v.uuid()),
  transaction: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  amount: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  currency: v.pipe(v.string(), v.length(3)),
});

export default class MyCloudService extends Payment {
  /** The settings of one account, with defaults; what is returned is this.module_data. */
  override getModuleData(data: Data = {}): Data {
    return { account: data['account'] ?? '' };
  }

  override getSettingsPage(data: Data & { webhook_url: string }): string {
    return this.view('admin_area.settings', data);
  }

  /** What the client sees to pay an invoice. */
  override getClientAreaHtml({ invoice }: PayData): string {
    return this.view('client_area', { invoice, account: this.module_data['account'] });
  }

  /** A delivery of the gateway. Only what is signed is believed; the same one may come many times and is booked once. */
  async apiWebhookPost(request: IncomingRequest): Promise<Reply> {
    const signature = request.headers.get(SIGNATURE) ?? '';
    if (!(await this.secrets.verifyHmac('webhook_secret', request.rawBody, signature)))
      return response('bad signature', 400);
    const paid = v.safeParse(Paid, request.all());
    if (!paid.success) return response('ignored', 200);
    await this.onPaymentSuccess(paid.output);
    return response('ok', 200);
  }

  override async onPaymentSuccess(payload: Data): Promise<unknown> {
    const { invoice, transaction, amount, currency } = v.parse(Paid, payload);
    return this.invoices.recordPayment({
      invoice_uuid: invoice,
      transaction_id: transaction,
      amount,
      currency,
    });
  }
}
