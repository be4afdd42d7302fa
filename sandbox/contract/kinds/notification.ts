/**
 * Notification: carries messages to people (a mail server, a chat). A tenant may have several instances of one, each with its own settings
 * and secrets.
 */
import * as v from 'valibot';
import { kind, method } from '../op.ts';
import { ActionResult, Data, DataArgs, moduleMethods } from './module.ts';

export const MESSAGE_TYPES = ['error', 'warning', 'success', 'info'] as const;

/** What send() gets; the host has checked `to`, `subject` and `message` (contract A21). */
export const Message = v.looseObject({
  to: v.string(),
  subject: v.pipe(v.string(), v.maxLength(255)),
  message: v.string(),
  text_mini: v.optional(v.string()),
  title: v.optional(v.string()),
  module: v.optional(v.string()),
  type: v.optional(v.picklist(MESSAGE_TYPES)),
  attachments: v.optional(v.array(v.unknown())),
});
export type Message = v.InferOutput<typeof Message>;

export const notification = kind({
  type: 'Notification',
  doc: 'Carries messages to people.',
  instances: true,
  families: [],
  methods: {
    ...moduleMethods,
    getModuleData: method(
      'Gives an instance’s settings their defaults; what it returns is this.module_data. Called first of all, on the same object.',
      DataArgs,
      Data,
    ),
    getSettingsPage: method(
      'HTML of an instance’s settings, shown in the module’s frame.',
      DataArgs,
      v.unknown(),
    ),
    send: method('Sends one message.', v.tuple([Message]), ActionResult, { required: true }),
  },
});
