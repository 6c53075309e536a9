import type { ReactNode } from "react";
import { Brand } from "../components/Brand.tsx";
import { ThemeSwitch } from "../components/ThemeSwitch.tsx";

/** What people see who are not at the server's own machine, while it has no key. */
export function LockedPage({ why }: { why: string }): ReactNode {
  return (
    <main className="sign-in">
      <Brand />
      <h1>Not from here</h1>
      <p>The server refused this page, and no token can help yet.</p>
      <p className="wrong" role="alert">
        {why}
      </p>
      <button type="button" onClick={() => location.reload()}>
        Try again
      </button>
      <ThemeSwitch />
    </main>
  );
}
