/** The demo's own small runner: names a step, times it, prints what it found, and stops at the first that fails. */

export interface StepOutcome {
  readonly name: string;
  readonly ms: number;
}

const steps: StepOutcome[] = [];
let chapter = '';

export function begin(title: string): void {
  chapter = title;
  console.log(`\n${title}`);
}

/** Runs one step; its returned text stands beside it. */
export async function step<T>(
  name: string,
  work: () => Promise<T>,
  note: (value: T) => string = () => '',
): Promise<T> {
  const startedAt = performance.now();
  try {
    const value = await work();
    const ms = performance.now() - startedAt;
    steps.push({ name, ms });
    const text = note(value);
    console.log(
      `  ✓ ${name} (${ms.toFixed(0)} ms)${text === '' ? '' : `\n      ${text.replaceAll('\n', '\n      ')}`}`,
    );
    return value;
  } catch (error) {
    console.log(`  ✗ ${name}`);
    throw new Error(`${chapter} › ${name}`, { cause: error });
  }
}

/** Fails the step unless the condition holds. */
export function expect(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

export function summary(): readonly StepOutcome[] {
  return steps;
}
