import { ThorProvider } from "@thor/react";
import { type ReactNode, useSyncExternalStore } from "react";
import type { Gate } from "../lib/gate.ts";
import { DashboardPage } from "../pages/DashboardPage.tsx";
import { LockedPage } from "../pages/LockedPage.tsx";
import { SignInPage } from "../pages/SignInPage.tsx";

/** The dashboard for who is in, and the way in for who is not. */
export function App({ gate }: { gate: Gate }): ReactNode {
  const state = useSyncExternalStore(gate.subscribe, gate.getSnapshot);
  switch (state.status) {
    case "knocking":
      return null;
    case "outside":
      return <SignInPage gate={gate} trouble={state.trouble} />;
    case "locked":
      return <LockedPage why={state.why} />;
    case "inside":
      return (
        <ThorProvider client={state.client} key={state.visit}>
          <DashboardPage gate={state.signedIn ? gate : undefined} />
        </ThorProvider>
      );
    default:
      return state satisfies never;
  }
}
