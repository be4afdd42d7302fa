/** What the module does when something happens elsewhere in the panel. */
import { on } from 'bulkhead';

on('ServiceTerminated', (event, module) => {
  module.logDebug('ServiceTerminated', { service_uuid: event.payload.service_uuid });
});
