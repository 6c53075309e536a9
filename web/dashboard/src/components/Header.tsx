import { useDirectory } from "@thor/react";
import type { ReactNode } from "react";
import { accountName } from "../lib/format.ts";
import { Brand } from "./Brand.tsx";
import { ConnectionBadge } from "./ConnectionBadge.tsx";
import { SourceBadge } from "./SourceBadge.tsx";
import { ThemeSwitch } from "./ThemeSwitch.tsx";
import { Visitor } from "./Visitor.tsx";

interface Props {
  account: string;
  onAccount: (account: string) => void;
}

interface HeaderProps extends Props {
  /** Signs out; undefined where nobody has signed in. */
  leave: (() => void) | undefined;
}

/** What holds for the whole page: the source, the connection, the account, the theme, and who looks at it. */
export function Header({ account, onAccount, leave }: HeaderProps): ReactNode {
  return (
    <header className="page-head">
      <Brand />
      <SourceBadge />
      <ConnectionBadge />
      <AccountSelect account={account} onAccount={onAccount} />
      <ThemeSwitch />
      {leave !== undefined && <Visitor leave={leave} />}
    </header>
  );
}

/** Only people switch accounts: nothing that arrives does. */
function AccountSelect({ account, onAccount }: Props): ReactNode {
  const { accounts, labels } = useDirectory();
  const name = accountName(account, labels[account]);
  const missing = account !== "" && !accounts.includes(account);
  return (
    <label className="account-select">
      <span aria-hidden="true">Account</span>
      <select
        aria-label="Account"
        value={account}
        onChange={(event) => onAccount(event.target.value)}
        disabled={accounts.length === 0}
      >
        {account === "" && <option value="">—</option>}
        {missing && <option value={account}>{accounts.length > 0 ? `${name} (not on this server)` : name}</option>}
        {accounts.map((id) => (
          <option key={id} value={id}>
            {accountName(id, labels[id])}
          </option>
        ))}
      </select>
    </label>
  );
}
