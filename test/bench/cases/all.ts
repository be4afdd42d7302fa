/** Every case, in the order of the report. Loaded once the peers are installed, since some of them are asked in process. */
import type { Case } from '../lib/case.ts';
import { cold } from './cold.ts';
import { jobs } from './jobs.ts';
import { long } from './long.ts';
import { ops } from './ops.ts';
import { requests } from './requests.ts';

export { profile } from './profile.ts';
export const CASES: readonly Case[] = [requests, cold, ops, jobs, long];
