import { useDirectory } from "@thor/react";
import { type ReactNode, useRef } from "react";
import { AboutDialog } from "./AboutDialog.tsx";

/** What the page is, and what it is made with. */
export function Footer(): ReactNode {
  const { version, source } = useDirectory();
  const about = useRef<HTMLDialogElement>(null);
  return (
    <footer className="page-foot">
      <span>
        thor {version ?? ""}
        {source !== undefined && ` · source ${source.name}`}
      </span>
      <span>
        Charts by <a href="https://www.tradingview.com/">TradingView</a> Lightweight Charts™
      </span>
      <button type="button" className="link" onClick={() => about.current?.showModal()}>
        About and notices
      </button>
      <AboutDialog ref={about} />
    </footer>
  );
}
