/**
 * `POST /store/packages`: `bulkhead module publish` from an author's machine. Whoever holds the store's upload token may hand in a signed
 * package; it is read as one that an operator uploads, and waits in review. Without BULKHEAD_STORE_TOKEN there is no such address.
 */
import type { Hono } from 'hono';
import { HostError } from '../../../sandbox/contract/envelope.ts';
import { senderKey } from '../../auth/addresses.ts';
import { AUTH_LIMITS } from '../../auth/limits.ts';
import { sameText } from '../../auth/tokens.ts';
import { countTries } from '../../auth/tries.ts';
import type { RootEnv } from '../env.ts';
import { statusOf } from '../errors.ts';
import type { Panel } from '../panel.ts';
import { requestIdOf } from '../request-id.ts';

export const UPLOAD_PATH = '/store/packages';

export function packageUpload(app: Hono<RootEnv>, panel: Panel): void {
  const { uploadToken, packages, now, db } = panel.deps;
  if (uploadToken === undefined) return;
  const guesses = countTries(db, { of: 'upload token from', tries: AUTH_LIMITS.uploadTokensPerSender });
  app.post(UPLOAD_PATH, async (c) => {
    const sender = senderKey(c.get('address'));
    try {
      const guess = await guesses.take(sender, now());
      if (guess.waitMs > 0) throw new HostError('LIMIT', 'Too many wrong tokens; try again later.');
      const given = /^Bearer (\S+)$/.exec(c.req.header('authorization') ?? '')?.[1] ?? '';
      if (!sameText(given, uploadToken)) {
        return c.json(
          { error: { code: 'NOT_GRANTED', message: 'This is not the store’s upload token.' } },
          401,
        );
      }
      await guess.forgive();
      const { versionId } = await packages.upload({
        bytes: new Uint8Array(await c.req.arrayBuffer()),
        accountId: null,
      });
      return c.json({ versionId, status: 'in_review' }, 201);
    } catch (error) {
      const id = requestIdOf(c);
      if (!(error instanceof HostError))
        panel.deps.reportError(error, { id, method: 'POST', path: UPLOAD_PATH });
      const known =
        error instanceof HostError ? error : new HostError('INTERNAL', `Something went wrong (${id}).`);
      return c.json({ error: { code: known.code, message: known.message } }, statusOf(known.code));
    }
  });
}
