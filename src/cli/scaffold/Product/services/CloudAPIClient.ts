/** The API that the accounts live at. An answer of 400 or more is thrown as HttpError. */
import { v, type Http } from 'bulkhead';

const Account = v.object({ id: v.string() });

export interface NewAccount {
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  readonly plan: string;
}

export class CloudAPIClient {
  private readonly client: ReturnType<Http['client']>;

  constructor(client: ReturnType<Http['client']>) {
    this.client = client;
  }

  async createAccount(account: NewAccount, idempotencyKey: string): Promise<{ id: string }> {
    const response = await this.client.post('/accounts', {
      json: account,
      headers: { 'idempotency-key': idempotencyKey },
    });
    return v.parse(Account, response.data);
  }

  async setSuspended(id: string, suspended: boolean): Promise<void> {
    await this.client.put(`/accounts/${encodeURIComponent(id)}`, { json: { suspended } });
  }

  async changePlan(id: string, plan: string): Promise<void> {
    await this.client.put(`/accounts/${encodeURIComponent(id)}`, { json: { plan } });
  }

  async deleteAccount(id: string): Promise<void> {
    await this.client.delete(`/accounts/${encodeURIComponent(id)}`);
  }
}
