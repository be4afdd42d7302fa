/** What the conformance suite tries this module with. */
import type { ConformanceOptions } from 'bulkhead/kit';

export const options: ConformanceOptions = {};
