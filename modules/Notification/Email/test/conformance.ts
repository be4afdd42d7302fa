/** What the conformance suite tries this module with: the fake cloud's mail server. */
import type { ConformanceOptions } from 'bulkhead/kit';

export const options: ConformanceOptions = {
  cloud: true,
  settings: ({ cloud }) => ({
    server: cloud?.smtp.host ?? '',
    port: cloud?.smtp.port ?? 0,
    encryption: 'none',
    username: cloud?.smtp.username ?? '',
    password: cloud?.smtp.password ?? '',
    from_email: 'hello@acme.example',
  }),
  message: { to: 'ann@example.com', subject: 'Hello', message: '<p>A text</p>' },
};
