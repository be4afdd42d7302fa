/** The typed fields from which the host draws the product's and the order's form. Limits are those of rules.ts. */
import type { Field } from 'bulkhead';
import { DEFAULT_IMAGE } from './images.ts';
import { LOCATIONS } from './rules.ts';

const text = { help: '', required: true } as const;

export const PRODUCT_FIELDS: Field[] = [
  { ...text, key: 'cpu_cores', type: 'number', title: 'CPU cores', default: 1, min: 1, max: 32 },
  { ...text, key: 'ram_mb', type: 'number', title: 'Memory (MB)', default: 1024, min: 512, max: 65_536 },
  { ...text, key: 'disk_gb', type: 'number', title: 'Disk (GB)', default: 25, min: 10, max: 1_000 },
  { ...text, key: 'bandwidth_gb', type: 'number', title: 'Bandwidth (GB a month)', default: 1_000, min: 100 },
  {
    ...text,
    key: 'location',
    type: 'select',
    title: 'Location',
    default: 'us-east-1',
    options: LOCATIONS.map((value) => ({ value, title: value })),
  },
  { ...text, key: 'backup_enabled', type: 'switch', title: 'Backups', required: false, default: false },
];

export const SERVICE_FIELDS: Field[] = [
  {
    ...text,
    key: 'hostname',
    type: 'text',
    title: 'Host name',
    placeholder: 'server.example.com',
    max: 253,
  },
  {
    ...text,
    key: 'image_id',
    type: 'select',
    title: 'Operating system',
    default: DEFAULT_IMAGE,
    options_from: 'imageOptions',
  },
  {
    key: 'ssh_keys',
    type: 'textarea',
    title: 'SSH keys',
    help: 'Ids or fingerprints of keys that your provider knows, one a line.',
    required: false,
  },
  {
    key: 'root_password',
    type: 'password',
    title: 'Root password',
    help: 'At least 8 characters with lower case, upper case and a digit. Empty: a strong one is made for you.',
    required: false,
  },
];
