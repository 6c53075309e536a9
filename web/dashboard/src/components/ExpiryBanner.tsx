import { useAccess, useClient, useNow } from "@thor/react";
import { type ReactNode, useRef, useState } from "react";
import type { Gate } from "../lib/gate.ts";
import { clockTime } from "../lib/time.ts";
import { TokenForm } from "./TokenForm.tsx";

/** So long before the end it is said, in ms. */
const ahead = 5 * 60_000;

/** Says that the token ends soon, and takes the next: with one of the same person nothing is interrupted. */
export function ExpiryBanner({ gate }: { gate: Gate }): ReactNode {
  const access = useAccess();
  const { clock } = useClient();
  const now = useNow(1000);
  const dialog = useRef<HTMLDialogElement>(null);
  const [opened, setOpened] = useState(0); // a form for each time
  const end = access.status === "signed_in" ? access.identity.expiresAt : undefined;
  const near = end !== undefined && clock.local(end) - now < ahead;
  const enter = async (token: string): Promise<string | undefined> => {
    const wrong = await gate.enter(token);
    if (wrong === undefined) dialog.current?.close();
    return wrong;
  };
  const open = (): void => {
    setOpened(opened + 1);
    dialog.current?.showModal();
  };
  return (
    <div role="status">
      {near && (
        <p className="banner banner-warning">
          <span>Your token expires at {clockTime(end)}. Then you are signed out.</span>
          <button type="button" onClick={open}>
            Enter a new one
          </button>
        </p>
      )}
      <dialog ref={dialog} className="about" aria-labelledby="renew-title" closedby="any">
        <h2 id="renew-title">A new token</h2>
        <p>With one for the same person everything goes on without a break.</p>
        {opened > 0 && <TokenForm key={opened} trouble={undefined} action="Go on" enter={enter} />}
        <form method="dialog">
          <button type="submit">Not now</button>
        </form>
      </dialog>
    </div>
  );
}
