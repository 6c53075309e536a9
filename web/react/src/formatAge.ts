/** An age for people: "0.4 s", "12 s", "3 min", "5 h", "2 d". What is not known is a dash. */
export function formatAge(ms: number | undefined): string {
  if (ms === undefined) return "—";
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
