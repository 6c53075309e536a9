import { useAccess } from "@thor/react";
import type { ReactNode } from "react";
import { clockTime } from "../lib/time.ts";

/** Who is signed in, as what, and the way out. */
export function Visitor({ leave }: { leave: () => void }): ReactNode {
  const access = useAccess();
  const identity = access.status === "signed_in" ? access.identity : undefined;
  const until = identity?.expiresAt === undefined ? undefined : `Signed in until ${clockTime(identity.expiresAt)}`;
  return (
    <span className="visitor">
      {identity !== undefined && (
        <span title={until}>
          <b>{identity.subject || "Signed in"}</b> <span className="role">{identity.roles.join(", ")}</span>
        </span>
      )}
      <button type="button" onClick={leave}>
        Sign out
      </button>
    </span>
  );
}
