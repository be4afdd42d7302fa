/**
 * `npm run shots [folder] [name …]`: a picture of every page, light, dark and on a phone, of a panel that has been used. To be looked at; nothing is
 * compared. Needs a Chromium.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { type Area, moduleFrame, openStage, type Stage } from './support/stage.ts';
import { type Place, type Places, placesOf } from './support/places.ts';
import { tellStory } from './support/story.ts';

const DEFAULT_FOLDER = '.bulkhead/shots';
/** A frame tells its height once it is laid out. */
const LAYOUT_MS = 300;
const [folder = DEFAULT_FOLDER, ...wanted] = process.argv.slice(2);

interface Look {
  readonly name: string;
  readonly context: NonNullable<Parameters<Stage['stranger']>[0]>;
}
const LOOKS: readonly Look[] = [
  { name: 'light', context: { colorScheme: 'light' } },
  { name: 'dark', context: { colorScheme: 'dark' } },
  { name: 'phone', context: { colorScheme: 'light', viewport: { width: 390, height: 800 } } },
];

/** The README's picture: what fits a window of this size of the admin's service page. */
async function shootForReadme(stage: Stage, place: Place): Promise<void> {
  const { page, context } = await stage.signIn('admin');
  await page.setViewportSize({ width: 1_400, height: 1_100 });
  await page.goto(stage.origin + place.path);
  await moduleFrame(page);
  await page.waitForTimeout(LAYOUT_MS);
  await page.screenshot({ path: join(folder, 'service.png') });
  await context.close();
}

async function shoot(page: Page, stage: Stage, look: Look, place: Place): Promise<void> {
  if (wanted.length > 0 && !wanted.includes(place.name)) return;
  await page.goto(stage.origin + place.path);
  if ((await page.$('iframe[data-module-frame]')) !== null) {
    await moduleFrame(page);
    await page.waitForTimeout(LAYOUT_MS);
  }
  await page.screenshot({ path: join(folder, look.name, `${place.name}.png`), fullPage: true });
}

async function shootAll(stage: Stage, places: Places, look: Look): Promise<void> {
  await mkdir(join(folder, look.name), { recursive: true });
  const { page, context } = await stage.stranger(look.context);
  for (const place of places.stranger) await shoot(page, stage, look, place);
  for (const area of ['admin', 'client', 'operator'] satisfies Area[]) {
    const person = await stage.signIn(area, { context });
    for (const place of places[area]) await shoot(person.page, stage, look, place);
    await person.page.close();
  }
  await context.close();
}

await using stage = await openStage();
const story = await tellStory(stage.demo, stage.acme);
const places = placesOf(story, stage.acme);
for (const look of LOOKS) await shootAll(stage, places, look);
for (const place of places.admin.filter(({ name }) => name === 'admin-service'))
  await shootForReadme(stage, place);
process.stdout.write(`\nPictures are in ${folder}\n`);
