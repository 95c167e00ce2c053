// The documents of the API that charts are drawn from (oneteam.web.outlook.charts).
import type { Kind } from "../language";

export type Value = number | null;

export interface Band { level: number; low: Value[]; high: Value[] }
export interface Series { id: string; label: string; kind: "seen" | "fan" | "past" | "line"; tone: 0 | 1; days: string[]; middle: Value[]; bands: Band[] }
export interface SeriesChart { unit: string; series: Series[]; threshold: Value; threshold_label: string; now: string | null; now_label: string; from_zero: boolean; scale_to?: Value }
export interface Bar { id: string; label: string; value: number; low: Value; high: Value; href: string | null; strong: boolean }
export interface BarsChart { unit: string; kind: Kind; bars: Bar[]; reference: Value; reference_label: string }
export interface MapMode { id: string; label: string; kind: Kind; unit: string; limits: number[]; layers: Record<string, Value>[] }
export interface MapChart { shapes_url: string; names: Record<string, string>; weeks: string[]; start: number; notes: string[]; modes: MapMode[]; href: string; words: Record<string, string> }
export interface Shapes { width: number; height: number; paths: Record<string, string>; centres: Record<string, [number, number]>; borders: string }
export interface Origin { code: string; name: string; mean: number[]; low: number[]; high: number[] }
export interface WorldChart { weeks: string[]; origins: Origin[]; unit: string; home: [number, number] | null; words: Record<string, string> }
export interface Flow { origin: string; destination: string; trips: number; std: Value; raw: Value }
export interface FlowsChart { shapes_url: string; names: Record<string, string>; flows: Flow[]; unit: string; href: string }
export interface ScatterChart { x_label: string; y_label: string; diagonal: boolean; dots: { label: string; x: number; y: number; std: Value }[] }
export interface ReliabilityChart { bins: { forecast: number; observed: number; low: Value; high: Value; tasks: number }[]; x_label: string; y_label: string }
export interface HistogramChart { edges: number[]; shares: number[]; expected: number; x_label: string; y_label: string }

export async function fetchJson<T>(address: string): Promise<T> {
  const response = await fetch(address, { headers: { Accept: "application/json" } });
  if (!response.ok) throw new Error(`${response.status} ${response.url}`);
  return (await response.json()) as T;
}
