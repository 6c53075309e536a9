import { useAccess, useDirectory } from "@thor/react";
import type { ReactNode } from "react";

interface Props {
  /** What is awaited belongs to an account, of which a token may name none. */
  owned?: boolean;
  children?: ReactNode;
}

/** Stands where data will be, once: data that was shown is never taken away again. */
export function Waiting({ owned = false, children }: Props): ReactNode {
  const { accounts, version } = useDirectory();
  const signedIn = useAccess().status === "signed_in";
  const none = owned && signedIn && accounts.length === 0 && version !== undefined;
  const text = none ? "There is no account here that your token names" : "Waiting for the first data";
  return <p className="waiting">{children ?? text}</p>;
}
