/** Answering the panel's own questions with a mouse. */
import type { Page } from 'playwright-core';

/**
 * Clicks, and waits until the question is gone: what the panel does after it (for some seconds it takes no click for leave to ask again,
 * unless the person goes back into the frame) is done by then, however busy the machine is.
 */
export async function answerDialog(page: Page, answer: 'yes' | 'no'): Promise<void> {
  await page.click(`dialog button[value=${answer}]`);
  await page.waitForSelector('dialog', { state: 'detached' });
}
