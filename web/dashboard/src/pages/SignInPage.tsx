import type { ReactNode } from "react";
import { Brand } from "../components/Brand.tsx";
import { ThemeSwitch } from "../components/ThemeSwitch.tsx";
import { TokenForm, WhereTokensComeFrom } from "../components/TokenForm.tsx";
import type { Gate } from "../lib/gate.ts";

interface Props {
  gate: Gate;
  /** What was wrong with the last token. */
  trouble: string | undefined;
}

/** The way in where the server has a key. */
export function SignInPage({ gate, trouble }: Props): ReactNode {
  return (
    <main className="sign-in">
      <Brand />
      <h1>Sign in</h1>
      <p>This server shows its data to who has a token.</p>
      <TokenForm key={trouble} trouble={trouble} action="Sign in" enter={(token) => gate.enter(token)} />
      <WhereTokensComeFrom />
      <ThemeSwitch />
    </main>
  );
}
