import type { Bar } from "@thor/client";
import { useDirectory, useFeature } from "@thor/react";
import { type ReactNode, useMemo } from "react";
import { percent, price, priceChange, volume } from "../lib/format.ts";
import { useChoice } from "../lib/preference.ts";
import { type SessionSummary, sessionOf, summarize } from "../lib/session.ts";
import { day, shortTime } from "../lib/time.ts";
import { CandleChart } from "./CandleChart.tsx";
import { Delta } from "./Delta.tsx";
import { Panel } from "./Panel.tsx";
import { SymbolSwitch } from "./SymbolSwitch.tsx";
import { Waiting } from "./Waiting.tsx";

/** The minutes of one symbol. */
export function IntradayPanel(): ReactNode {
  const { symbols } = useDirectory();
  const [symbol, choose] = useChoice("symbol", symbols[0]?.symbol);
  const missing = symbols.length > 0 && !symbols.some((s) => s.symbol === symbol);
  const snapshot = useFeature("intraday", missing ? "" : symbol);
  return (
    <Panel name="intraday" title="Intraday" snapshot={snapshot}>
      {symbols.length > 0 && <SymbolSwitch symbols={symbols} symbol={symbol} onSymbol={choose} />}
      {missing ? (
        <Waiting>{symbol} is not on this server. Choose another symbol.</Waiting>
      ) : snapshot.data === undefined ? (
        <Waiting />
      ) : (
        <Session bars={snapshot.data} />
      )}
    </Panel>
  );
}

function Session({ bars }: { bars: readonly Bar[] }): ReactNode {
  const session = useMemo(() => sessionOf(bars), [bars]);
  const summary = useMemo(() => summarize(session), [session]);
  if (summary === undefined) return <Waiting />;
  return (
    <>
      <Summary summary={summary} />
      <figure className="chart" aria-label={describe(session, summary)}>
        <CandleChart key={summary.last.symbol} bars={session} />
        <figcaption>
          <span className="key key-candle">Minutes</span>
          <span className="key key-vwap">VWAP of the session</span>
          <span className="key key-volume">Volume</span>
        </figcaption>
      </figure>
    </>
  );
}

function Summary({ summary: s }: { summary: SessionSummary }): ReactNode {
  const at = Date.parse(s.last.timestamp_minute);
  return (
    <div className="session">
      <p className="last">
        <span className="figure">{price(s.last.close)}</span>
        <Delta value={s.change} format={priceChange} /> <Delta value={s.changePercent} format={percent} arrow={false} />
        <small>{s.last.final ? `last traded ${day(at)} ${shortTime(at)}` : "since the open"}</small>
      </p>
      <dl>
        <Item label="Open">{price(s.open)}</Item>
        <Item label="High">{price(s.high)}</Item>
        <Item label="Low">{price(s.low)}</Item>
        <Item label="VWAP">{price(s.vwap === null ? null : Math.round(s.vwap * 100) / 100)}</Item>
        <Item label="Volume">{volume(s.volume)}</Item>
      </dl>
    </div>
  );
}

function Item({ label, children }: { label: string; children: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The chart in words, for who cannot see it. */
function describe(bars: readonly Bar[], { last, open, high, low, vwap }: SessionSummary): string {
  const from = shortTime(Date.parse(bars[0]?.timestamp_minute ?? last.timestamp_minute));
  const to = shortTime(Date.parse(last.timestamp_minute));
  return (
    `Candles of ${last.display}, ${bars.length} minutes from ${from} to ${to}: open ${price(open)}, ` +
    `high ${price(high)}, low ${price(low)}, last ${price(last.close)}, VWAP ${price(vwap)}`
  );
}
