/** Notifications listen to the host's events that people are told of; what they queue is written with the event's own result, once. */
import type { Subscribers } from '../events/subscribers.ts';
import { tellEvent } from './notifications.ts';
import { NOTICED_EVENTS } from './occasions.ts';

export function subscribeNotifications(subscribers: Subscribers): void {
  for (const name of NOTICED_EVENTS)
    subscribers.onEvent('notifications', name, async (event, trx) => {
      const { id, tenantId, payload } = event;
      const clientId = 'client_uuid' in payload ? payload.client_uuid : null;
      await tellEvent(trx, { tenantId, name, id, payload, clientId });
    });
}
