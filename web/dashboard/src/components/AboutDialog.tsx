import type { ReactNode, Ref } from "react";

/** Who made what this page is made of. The texts of the licences are in web/THIRD_PARTY_NOTICES.md. */
export function AboutDialog({ ref }: { ref: Ref<HTMLDialogElement> }): ReactNode {
  return (
    <dialog ref={ref} className="about" aria-labelledby="about-title" closedby="any">
      <h2 id="about-title">About thor</h2>
      <p>
        thor moves trading data from REST polling to WebSocket push, one feature at a time. Every panel says where its
        data comes from and how old it is.
      </p>
      <h3>Notices</h3>
      <ul>
        <li>
          TradingView Lightweight Charts™
          <br />
          Copyright (c) 2025 TradingView, Inc. <a href="https://www.tradingview.com/">https://www.tradingview.com/</a>
          <br />
          Apache License 2.0
        </li>
        <li>
          React and React DOM
          <br />
          Copyright (c) Meta Platforms, Inc. and affiliates. MIT License
        </li>
      </ul>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
