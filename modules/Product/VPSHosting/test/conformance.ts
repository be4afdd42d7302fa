/** What the conformance suite tries this module with. */
import type { ConformanceOptions } from 'bulkhead/kit';

export const options: ConformanceOptions = {
  cloud: true,
  settings: ({ cloud }) => ({
    api_url: cloud?.cloud ?? '',
    api_key: cloud?.cloudToken ?? '',
    status_check_delay: 0.2,
    status_check_limit: 20,
    retry_delay: 1,
  }),
  product: {
    cpu_cores: 1,
    ram_mb: 1024,
    disk_gb: 25,
    bandwidth_gb: 1000,
    location: 'us-east-1',
    backup_enabled: false,
  },
  order: { hostname: 'web.example.com', image_id: 'debian-12', ssh_keys: '' },
};
