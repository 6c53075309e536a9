import { useClient, useDirectory } from "@thor/react";
import type { ReactNode } from "react";
import { ConnectionBanner } from "../components/ConnectionBanner.tsx";
import { ExpiryBanner } from "../components/ExpiryBanner.tsx";
import { Footer } from "../components/Footer.tsx";
import { ForcedBanner } from "../components/ForcedBanner.tsx";
import { Header } from "../components/Header.tsx";
import { MonitorSection } from "../components/MonitorSection.tsx";
import { panelOf } from "../components/panels.ts";
import type { Gate } from "../lib/gate.ts";
import { useChoice } from "../lib/preference.ts";

interface Props {
  /** Where who has signed in gets out again; undefined for the local operator. */
  gate: Gate | undefined;
}

/** The page that is left open all day: one panel for every feature. */
export function DashboardPage({ gate }: Props): ReactNode {
  const { features } = useClient();
  const { accounts } = useDirectory();
  const [account, choose] = useChoice("account", accounts[0], gate === undefined ? "browser" : "tab");
  const known = accounts.length === 0 || accounts.includes(account); // nothing is asked of an account that is not there
  return (
    <>
      <Header account={account} onAccount={choose} leave={gate && (() => gate.leave())} />
      <main>
        <h1 className="visually-hidden">Trading dashboard</h1>
        <ConnectionBanner />
        <ForcedBanner />
        {gate !== undefined && <ExpiryBanner gate={gate} />}
        <div className="panels">
          {features.map((feature) => {
            const Panel = panelOf(feature);
            return <Panel key={feature.name} feature={feature} account={known ? account : ""} />;
          })}
        </div>
        <MonitorSection />
      </main>
      <Footer />
    </>
  );
}
