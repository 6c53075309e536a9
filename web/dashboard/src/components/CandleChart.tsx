import type { Bar } from "@thor/client";
import { type ReactNode, useEffect, useRef } from "react";
import { CandleSeries } from "../lib/candles.ts";
import { useDark } from "../lib/theme.ts";

/** Candles, volume and VWAP on a canvas. What it shows is told in words by its figure. */
export function CandleChart({ bars }: { bars: readonly Bar[] }): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const series = useRef<CandleSeries>(undefined);
  const dark = useDark();

  useEffect(() => {
    if (place.current === null) return;
    const made = new CandleSeries(place.current);
    series.current = made;
    return () => {
      series.current = undefined;
      made.remove();
    };
  }, []);

  // A canvas cannot follow the style sheet: its colours are read again with the theme.
  useEffect(() => {
    void dark;
    series.current?.recolor();
  }, [dark]);

  useEffect(() => {
    series.current?.show(bars);
  }, [bars]);

  return <div className="canvas" ref={place} />;
}
