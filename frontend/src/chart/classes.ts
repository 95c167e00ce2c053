/** The colour class of a value, from 1; a value at a limit belongs above it. */
export function classOf(value: number, limits: readonly number[]): number {
  let found = 1;
  for (const limit of limits) if (value >= limit) found++;
  return found;
}
