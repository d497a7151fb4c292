// How the charts look: options for uPlot out of the page's design tokens.
import type uPlot from "uplot";
import { HISTORY_SECONDS } from "./feed-history.ts";
import { compact } from "./format.ts";

export interface ChartSeries {
  readonly label: string;
  /** Design token of its colour. */
  readonly token: "--series-a" | "--series-b";
  /** Filled below the line. */
  readonly isArea: boolean;
}

export interface ChartLook {
  readonly color: (token: string) => string;
  readonly width: number;
  readonly height: number;
  /** The y axis reaches at least to here, so that idle noise stays small. */
  readonly yMin: number;
  readonly onCursor: (index: number | undefined) => void;
}

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Charts with the same key show one cursor. */
const SYNC_KEY = "millrace";

export function chartOptions(series: readonly ChartSeries[], look: ChartLook): uPlot.Options {
  const axis = {
    stroke: look.color("--text-3"),
    font: FONT,
    grid: { stroke: look.color("--grid"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: look.width,
    height: look.height,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      points: { size: 7, width: 2 },
      sync: { key: SYNC_KEY },
    },
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, yTop(max, look.yMin)] },
    },
    axes: [
      { ...axis, size: 20, gap: 2, space: 50, incrs: [60, 120, 300], values: (_, at) => at.map(hourMinute) },
      { ...axis, size: 44, gap: 6, space: 32, values: (_, at) => at.map((value) => compact(value)) },
    ],
    series: [{}, ...series.map((one) => seriesOptions(one, look))],
    hooks: { setCursor: [(chart) => look.onCursor(chart.cursor.idx ?? undefined)] },
  };
}

function seriesOptions(series: ChartSeries, look: ChartLook): uPlot.Series {
  const stroke = look.color(series.token);
  return {
    label: series.label,
    stroke,
    width: 1.5,
    points: { show: false },
    spanGaps: false,
    ...(series.isArea ? { fill: look.color(`${series.token}-fill`) } : {}),
  };
}

/** End of the y axis: a round number a little above `max`. */
export function yTop(max: number | null, least: number): number {
  const wanted = Math.max(least, (max ?? 0) * 1.08);
  const magnitude = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * magnitude >= wanted) ?? 10;
  return step * magnitude;
}

/** Both ends of the x axis, in seconds: five minutes that end at the newest snapshot. */
export function timeWindow(newestSeconds: number): { min: number; max: number } {
  return { min: newestSeconds - HISTORY_SECONDS, max: newestSeconds };
}

/** Index nearest to `wanted` whose time the chart shows; -1 when there is none. @param times ascending, in seconds */
export function visibleIndex(times: readonly (number | null)[], wanted: number): number {
  const newest = times.at(-1);
  if (newest === undefined || newest === null) return -1;
  const first = times.findIndex((time) => (time ?? 0) >= timeWindow(newest).min);
  return Math.min(times.length - 1, Math.max(first, wanted));
}

function hourMinute(seconds: number): string {
  const date = new Date(seconds * 1000);
  const part = (value: number): string => String(value).padStart(2, "0");
  const whole = `${part(date.getHours())}:${part(date.getMinutes())}`;
  return date.getSeconds() === 0 ? whole : `${whole}:${part(date.getSeconds())}`;
}
