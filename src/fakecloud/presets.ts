/** Faults worth trying first, as buttons for a mouse. Plain data: a test may use the same ones by name. */
import type { FaultInput } from './faults.ts';

export interface Preset {
  readonly id: string;
  readonly title: string;
  readonly fault: FaultInput;
}

const CREATE = { method: 'POST', path: '/v2/droplets' };

export const PRESETS: readonly Preset[] = [
  {
    id: 'create-answer-lost',
    title: 'Create a server, but lose the answer (once)',
    fault: { match: CREATE, kind: 'drop', when: 'after' },
  },
  {
    id: 'create-cut',
    title: 'Cut the connection before creating (once)',
    fault: { match: CREATE, kind: 'drop', when: 'before' },
  },
  {
    id: 'create-503',
    title: 'Create answers 503 (3 times)',
    fault: { match: CREATE, kind: 'status', status: 503, times: 3 },
  },
  {
    id: 'cloud-429',
    title: 'Cloud says: too many requests (2 times)',
    fault: { match: { path: '/v2/**' }, kind: 'status', status: 429, times: 2 },
  },
  {
    id: 'cloud-401',
    title: 'Cloud refuses the token (until switched off)',
    fault: { match: { path: '/v2/**' }, kind: 'status', status: 401, forever: true },
  },
  {
    id: 'cloud-down',
    title: 'Cloud is down (until switched off)',
    fault: { match: { path: '/v2/**' }, kind: 'drop', forever: true },
  },
  {
    id: 'cloud-slow',
    title: 'Cloud takes 5 s to answer (until switched off)',
    fault: { match: { path: '/v2/**' }, kind: 'delay', delayMs: 5_000, forever: true },
  },
  {
    id: 'cloud-slow-body',
    title: 'Cloud dribbles its answer over 20 s (once)',
    fault: { match: { path: '/v2/**' }, kind: 'slow-body', delayMs: 20_000 },
  },
  {
    id: 'cloud-garbage',
    title: 'Cloud answers garbage (once)',
    fault: { match: { path: '/v2/**' }, kind: 'garbage' },
  },
  {
    id: 'stripe-refund-lost',
    title: 'Refund, but lose the answer (once)',
    fault: { match: { method: 'POST', path: '/v1/refunds' }, kind: 'drop', when: 'after' },
  },
  {
    id: 'stripe-500',
    title: 'Stripe answers 500 (2 times)',
    fault: { match: { path: '/v1/**' }, kind: 'status', status: 500, times: 2 },
  },
  {
    id: 'slack-500',
    title: 'Slack answers 500 (3 times)',
    fault: { match: { path: '/slack/**' }, kind: 'status', status: 500, times: 3 },
  },
  {
    id: 'smtp-451',
    title: 'Mail server: try again later (3 times)',
    fault: { match: { method: 'SMTP', path: '/smtp/rcpt' }, kind: 'status', status: 451, times: 3 },
  },
  {
    id: 'smtp-answer-lost',
    title: 'Take the mail, but lose the answer (once)',
    fault: { match: { method: 'SMTP', path: '/smtp/message' }, kind: 'drop', when: 'after' },
  },
];
