/** What a problem (RFC 9457) says to people: what was wrong, and what to do about it. "" is an answer that says nothing. */
export async function problemOf(response: Response): Promise<string> {
  try {
    const { detail = "", hint = "" } = (await response.json()) as { detail?: string; hint?: string };
    return [sentence(detail), hint].filter((part) => part !== "").join(" ");
  } catch {
    return ""; // a proxy's page
  }
}

function sentence(text: string): string {
  if (text === "") return "";
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}
