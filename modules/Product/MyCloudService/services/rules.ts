/** What the forms accept. */
import { rules, v, type Field } from 'bulkhead';

export const PLANS = ['basic', 'premium', 'enterprise'] as const;

export const ProductRules = v.looseObject({
  server_location: rules.text(),
  plan_type: rules.oneOf(PLANS),
  disk_space: rules.integer({ min: 1 }),
  bandwidth: rules.integer({ min: 1 }),
  username_prefix: v.optional(rules.nullable(rules.text({ max: 20 }))),
  username_suffix: v.optional(rules.nullable(rules.text({ max: 20 }))),
});

export const ServiceRules = v.looseObject({
  domain: rules.text({ max: 255 }),
  username: rules.text({ max: 50 }),
  password: v.pipe(
    v.string(),
    v.minLength(8, 'At least 8 characters.'),
    v.maxLength(255, 'At most 255 characters.'),
  ),
  ip_address: v.optional(rules.nullable(rules.ip())),
});

export const ServerRules = v.object({
  name: rules.text({ max: 255 }),
  ip: rules.ip(),
  location: rules.text(),
  username: v.optional(rules.nullable(rules.text())),
  password: v.optional(rules.nullable(rules.text())),
  api_key: v.optional(rules.nullable(rules.text({ max: 2_000 }))),
  port: v.optional(rules.nullable(rules.integer({ min: 1, max: 65_535 }))),
  ssl: rules.boolean(),
  max_accounts: v.optional(rules.nullable(rules.integer({ min: 0 }))),
});

const required = { help: '', required: true } as const;
const optional = { help: '', required: false } as const;

export const PRODUCT_FIELDS: Field[] = [
  { ...required, key: 'server_location', type: 'text', title: 'Server location' },
  {
    ...required,
    key: 'plan_type',
    type: 'select',
    title: 'Plan',
    options: PLANS.map((value) => ({ value, title: value })),
  },
  { ...required, key: 'disk_space', type: 'number', title: 'Disk space (GB)', min: 1 },
  { ...required, key: 'bandwidth', type: 'number', title: 'Bandwidth (GB a month)', min: 1 },
  { ...optional, key: 'username_prefix', type: 'text', title: 'User name begins with' },
  { ...optional, key: 'username_suffix', type: 'text', title: 'User name ends with' },
];

export const SERVICE_FIELDS: Field[] = [
  { key: 'domain', type: 'text', title: 'Domain', help: 'Such as example.com', required: true, max: 255 },
];
