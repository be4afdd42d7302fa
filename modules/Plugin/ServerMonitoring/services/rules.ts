/** What the form of a check may hold. */
import { rules, v } from 'bulkhead';
import { CHECK_TYPES } from '../models/tables.ts';

const MIN_INTERVAL = 30;
const MAX_INTERVAL = 86_400;

const Url = v.pipe(
  rules.text({ max: 255 }),
  v.regex(/^https?:\/\/[^\s/?#@]+(?:[/?#]\S*)?$/i, 'A web address such as https://example.com is expected.'),
);
/** A host name, or an address; an IPv6 one in brackets. */
const Host = v.pipe(
  rules.text({ max: 253 }),
  v.regex(/^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/, 'A host name or an address is expected.'),
);

const shared = {
  name: rules.text(),
  interval: rules.integer({ min: MIN_INTERVAL, max: MAX_INTERVAL }),
  timeout: rules.nullable(rules.integer({ min: 1, max: 10 })),
  service_uuid: rules.nullable(v.pipe(v.string(), v.uuid('A service’s id is expected.'))),
};

export const CheckRules = v.variant(
  'type',
  [
    v.object({
      ...shared,
      type: v.literal('http'),
      target: Url,
      expected_status: rules.nullable(rules.integer({ min: 100, max: 599 })),
    }),
    v.object({
      ...shared,
      type: v.literal('ping'),
      target: Host,
      port: rules.nullable(rules.integer({ min: 1, max: 65_535 })),
    }),
    v.object({
      ...shared,
      type: v.literal('port'),
      target: Host,
      port: rules.integer({ min: 1, max: 65_535 }),
    }),
  ],
  `One of ${CHECK_TYPES.join(', ')} is expected.`,
);
