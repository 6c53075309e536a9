/**
 * What lasts as long as this tab and is nobody else's business: it is never put
 * where another tab or a later day finds it. Storage may be forbidden; then it
 * lasts as long as the page.
 */
export function readTab(name: string): string | undefined {
  try {
    return sessionStorage.getItem(`thor.${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}

export function writeTab(name: string, value: string): void {
  try {
    sessionStorage.setItem(`thor.${name}`, value);
  } catch {
    // It is kept in memory.
  }
}

/** Forgets all of it. */
export function clearTab(): void {
  try {
    sessionStorage.clear();
  } catch {
    // There was nothing.
  }
}
