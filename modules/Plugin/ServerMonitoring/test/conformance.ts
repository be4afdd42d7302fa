/** What the conformance suite tries this module with: as it comes, without a setting. */
import type { ConformanceOptions } from 'bulkhead/kit';

export const options: ConformanceOptions = {};
