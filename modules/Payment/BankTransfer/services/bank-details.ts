/** Our accounts, by currency: the guide's, unless the instance's settings say otherwise. Other currencies are told the USD one. */
export type BankDetails = Readonly<Record<string, string>>;

const DEFAULTS: Readonly<Record<string, BankDetails>> = {
  USD: {
    bank_name: 'Example Bank USA',
    account_name: 'YourCompany LLC',
    account_number: '1234567890',
    routing_number: '021000021',
    swift_code: 'EXBKUS33',
  },
  EUR: {
    bank_name: 'Example Bank Europe',
    account_name: 'YourCompany EU',
    iban: 'DE89370400440532013000',
    bic: 'EXBKDEFF',
  },
};
const FALLBACK = 'USD';

export function bankDetails(settings: Readonly<Record<string, unknown>>, currency: string): BankDetails {
  const known = Object.hasOwn(DEFAULTS, currency) ? currency : FALLBACK;
  const entries = Object.entries(DEFAULTS[known] ?? {}).map(([key, fallback]): [string, string] => {
    const own = settings[`${known.toLowerCase()}_${key}`];
    return [key, typeof own === 'string' && own.trim() !== '' ? own.trim() : fallback];
  });
  return Object.fromEntries(entries);
}
