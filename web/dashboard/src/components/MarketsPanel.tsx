import type { MarketPhase, MarketStatus } from "@thor/client";
import { useClient, useDirectory, useFeature, useNow } from "@thor/react";
import type { ReactNode } from "react";
import { words } from "../lib/format.ts";
import { inDisplayOrder } from "../lib/markets.ts";
import { clockTime, countdown, weekday } from "../lib/time.ts";
import { Chip, type Tone } from "./Chip.tsx";
import { Panel } from "./Panel.tsx";
import { Waiting } from "./Waiting.tsx";

/** The markets of the world: what each does now, and what comes next. */
export function MarketsPanel(): ReactNode {
  const snapshot = useFeature("global_market");
  return (
    <Panel name="global_market" title="Global market" snapshot={snapshot} fromCalendar>
      {snapshot.data === undefined ? <Waiting /> : <Markets markets={snapshot.data} />}
    </Panel>
  );
}

const phases: Record<MarketPhase, { text: string; tone: Tone; next: string }> = {
  PREOPEN: { text: "Pre-open", tone: "accent", next: "Pre-open in" },
  OPEN: { text: "Open", tone: "good", next: "Opens in" },
  PRECLOSE: { text: "Closing soon", tone: "warning", next: "Pre-close in" },
  POST: { text: "After hours", tone: "accent", next: "After hours in" },
  BREAK: { text: "Break", tone: "neutral", next: "Break in" },
  CLOSED: { text: "Closed", tone: "neutral", next: "Closes in" },
  HOLIDAY: { text: "Holiday", tone: "neutral", next: "Holiday in" },
  UNKNOWN: { text: "Unknown", tone: "neutral", next: "Unknown from" },
};

/** A phase of a later server is called by its name. */
function phaseOf(name: string): { text: string; tone: Tone; next: string } {
  const text = words(name.toLowerCase());
  return phases[name as MarketPhase] ?? { text, tone: "neutral", next: `${text} in` };
}

/** Clocks and countdowns are this page's own: the server says when something changes. */
export function Markets({ markets }: { markets: readonly MarketStatus[] }): ReactNode {
  const client = useClient();
  const { source } = useDirectory();
  useNow(250);
  const now = client.clock.sourceNow();
  return (
    <ul className="markets">
      {inDisplayOrder(markets).map((market) => (
        <Market key={market.market_id} market={market} now={now} speed={source?.speed ?? 1} />
      ))}
    </ul>
  );
}

function Market({ market, now, speed }: { market: MarketStatus; now: number; speed: number }): ReactNode {
  const phase = phaseOf(market.status);
  return (
    <li>
      <p>
        <span className="market-name">
          {market.market}
          {market.provisional && (
            <small title="The exchange has not published this year's calendar yet">provisional</small>
          )}
        </span>
        <span>
          <small>{weekday(now, market.timezone)}</small> {clockTime(now, market.timezone)}
        </span>
      </p>
      <p>
        <Chip tone={phase.tone}>{phase.text}</Chip>
        <small>{nextEvent(market, now, speed)}</small>
      </p>
    </li>
  );
}

/** A change may be known this much later, in ms of ours: REST is asked now and then. */
const overdue = 15_000;

/** What comes next, and how long that is away. What does not come is said to be late. */
export function nextEvent(market: MarketStatus, now: number, speed: number): string {
  const { status, next_event, next_event_at } = market;
  if (next_event === undefined || next_event_at === undefined) return "No further change is known";
  const over = status === "HOLIDAY" && next_event === "CLOSED"; // it closes nothing
  const next = over ? "Holiday ends in" : phaseOf(next_event).next;
  const left = Date.parse(next_event_at) - now;
  if (left >= 1000) return `${next} ${countdown(left)}`;
  const what = next.replace(/ (in|from)$/, "");
  return -left < overdue * speed ? `${what} now` : `${what}: late by ${countdown(-left)}`;
}
