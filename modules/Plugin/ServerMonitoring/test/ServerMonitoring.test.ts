/** `bulkhead module test` here: what every module of its type must hold, in a real host. */
import { after, test } from 'node:test';
import { conformance } from 'bulkhead/kit';
import { options } from './conformance.ts';

conformance('Plugin/ServerMonitoring', { ...options, test, after });
