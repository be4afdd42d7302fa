/** Plugin: anything beside services, payments and messages: pages, jobs, schedules, event handlers, webhooks. */
import { kind } from '../op.ts';
import { moduleMethods } from './module.ts';

export const plugin = kind({
  type: 'Plugin',
  doc: 'Extends the panel: pages, jobs, schedules, event handlers.',
  instances: false,
  families: [],
  methods: { ...moduleMethods },
});
