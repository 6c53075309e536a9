import type { Bar } from "@thor/client";
import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  createChart,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { price, volume } from "./format.ts";
import { runningVWAP } from "./session.ts";
import { dateTime, shortTime } from "./time.ts";

interface Colors {
  text: string;
  line: string;
  up: string;
  down: string;
  volumeUp: string;
  volumeDown: string;
  vwap: string;
}

/** A chart of one symbol's session. Its owner removes it. */
export class CandleSeries {
  readonly #place: HTMLElement;
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #vwap: ISeriesApi<"Line">;
  #colors: Colors;
  readonly #sizes: ResizeObserver;
  #moved = false; // somebody has scrolled or zoomed: the view is theirs
  #shown: readonly Bar[] = [];

  constructor(place: HTMLElement) {
    this.#place = place;
    this.#colors = readColors(place);
    this.#chart = createChart(place, {
      autoSize: true,
      // The notice and the link the licence asks for stand at the foot of the page.
      layout: { attributionLogo: false, fontFamily: getComputedStyle(place).fontFamily, fontSize: 11 },
      handleScroll: { vertTouchDrag: false }, // a finger that moves up scrolls the page
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false, entireTextOnly: true, scaleMargins: { top: 0.06, bottom: 0.24 } },
      timeScale: {
        borderVisible: false,
        timeVisible: true,
        secondsVisible: false,
        rightOffset: 3,
        minBarSpacing: 0.2,
        tickMarkFormatter: (time: Time) => shortTime(Number(time) * 1000),
      },
      localization: { timeFormatter: (time: Time) => dateTime(Number(time) * 1000), priceFormatter: price },
    });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "custom", formatter: volume },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.#vwap = this.#chart.addSeries(LineSeries, {
      lineWidth: 2,
      lastValueVisible: false,
      priceLineVisible: false,
      crosshairMarkerVisible: false,
    });
    this.recolor();
    this.#sizes = new ResizeObserver(() => this.#fit());
    this.#sizes.observe(place);
    const events = { wheel: true, pointerdown: true, dblclick: false } as const;
    for (const [event, moved] of Object.entries(events)) {
      place.addEventListener(event, () => this.#move(moved), { passive: true });
    }
  }

  /**
   * Shows the bars. Those that are shown already are left alone. The whole
   * session is in view until somebody moves it, and again after a double click.
   */
  show(bars: readonly Bar[]): void {
    const before = this.#shown;
    this.#shown = bars;
    const points = pointsOf(bars, this.#colors);
    if (continues(before, bars)) {
      for (let i = before.length - 1; i < bars.length; i++) this.#update(points, i);
    } else {
      this.#candles.setData(points.candles);
      this.#volume.setData(points.volumes);
      this.#vwap.setData(points.vwaps);
      if (before[0]?.timestamp_minute !== bars[0]?.timestamp_minute) this.#moved = false;
    }
    if (bars.length !== before.length) this.#fit();
  }

  #move(moved: boolean): void {
    this.#moved = moved;
    this.#fit();
  }

  /** Brings all bars into view, with room for the first label. Few bars leave room for those to come. */
  #fit(): void {
    if (this.#moved) return;
    const count = Math.max(this.#shown.length, fewest);
    const perPixel = count / Math.max(100, this.#place.clientWidth - priceScaleWidth);
    this.#chart.timeScale().setVisibleLogicalRange({ from: -26 * perPixel, to: count + 22 * perPixel });
  }

  /** Takes the colours from the style sheet, whose variables a canvas cannot read. */
  recolor(): void {
    const c = readColors(this.#place);
    this.#colors = c;
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: "transparent" }, textColor: c.text },
      grid: { vertLines: { color: c.line }, horzLines: { color: c.line } },
    });
    this.#candles.applyOptions({ upColor: c.up, downColor: c.down, wickUpColor: c.up, wickDownColor: c.down });
    this.#vwap.applyOptions({ color: c.vwap });
    this.#volume.setData(pointsOf(this.#shown, c).volumes);
  }

  remove(): void {
    this.#sizes.disconnect();
    this.#chart.remove();
  }

  #update(points: Points, i: number): void {
    const [candle, bar, average] = [points.candles[i], points.volumes[i], points.vwaps[i]];
    if (candle !== undefined) this.#candles.update(candle);
    if (bar !== undefined) this.#volume.update(bar);
    if (average !== undefined) this.#vwap.update(average);
  }
}

/** A view is at least as wide as so many bars. */
const fewest = 45;

/** About, in pixels. */
const priceScaleWidth = 70;

/** Reports whether bars are those of before, but for the last one and a few new ones. */
function continues(before: readonly Bar[], bars: readonly Bar[]): boolean {
  const last = before.at(-1);
  if (last === undefined || bars.length < before.length || bars.length - before.length > 3) return false;
  if (bars[before.length - 1]?.timestamp_minute !== last.timestamp_minute) return false;
  return before.slice(0, -1).every((bar, i) => bar === bars[i]);
}

type Points = ReturnType<typeof pointsOf>;

/** A value nobody knows leaves its place empty. */
function pointsOf(bars: readonly Bar[], colors: Colors) {
  const averages = runningVWAP(bars);
  const timed = bars.map((bar, i) => ({
    bar,
    average: averages[i],
    time: (Date.parse(bar.timestamp_minute) / 1000) as UTCTimestamp,
  }));
  return {
    candles: timed.map(({ bar: { open, high, low, close }, time }) =>
      open === null || high === null || low === null || close === null ? { time } : { time, open, high, low, close },
    ),
    volumes: timed.map(({ bar: { open, close, volume: value }, time }) =>
      value === null
        ? { time }
        : { time, value, color: Number(close) < Number(open) ? colors.volumeDown : colors.volumeUp },
    ),
    vwaps: timed.map(({ average, time }) => (average === undefined ? { time } : { time, value: average })),
  };
}

/** Computes the colours with an element of the page: custom properties come out as they were written. */
function readColors(place: HTMLElement): Colors {
  const probe = document.createElement("span");
  place.append(probe);
  const read = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colors: Colors = {
    text: read("--muted"),
    line: read("--grid"),
    up: read("--up"),
    down: read("--down"),
    volumeUp: read("--volume-up"),
    volumeDown: read("--volume-down"),
    vwap: read("--vwap"),
  };
  probe.remove();
  return colors;
}
