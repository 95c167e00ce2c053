// Numbers, dates and the few words that charts add, in the language of the page.
const WORDS = {
  en: { log: "Log scale", of: "of", low: "from", interval: "interval", pause: "Pause", all: "Show all places", into: "in", out: "out" },
  ko: { log: "로그 눈금", of: "/", low: "부터", interval: "구간", pause: "멈춤", all: "전체 보기", into: "유입", out: "유출" },
} as const;

export type Language = keyof typeof WORDS;
export type ChartWord = keyof (typeof WORDS)["en"];

export function language(): Language {
  return typeof document !== "undefined" && document.documentElement.lang === "ko" ? "ko" : "en";
}

const LOCALE: Readonly<Record<Language, string>> = { en: "en-GB", ko: "ko" };

export const word = (key: ChartWord): string => WORDS[language()][key];

export type Kind = "count" | "number" | "share" | "chance";

/** A value as people read it; the same rules as the tables beside the charts. */
export function written(value: number | null | undefined, kind: Kind, lang: Language = language()): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (kind === "share") return `${Math.round(100 * value)}%`;
  // No forecast is certain.
  if (kind === "chance") return value > 0.995 ? ">99%" : value < 0.005 ? "<1%" : `${Math.round(100 * value)}%`;
  const size = Math.abs(value);
  const digits = kind === "count" ? (size >= 10 || Number.isInteger(value) ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 2 }) : size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return new Intl.NumberFormat(lang, digits).format(value);
}

/** A value on an axis: short. */
export function onAxis(value: number, kind: Kind, lang: Language = language()): string {
  if (kind === "share" || kind === "chance") return `${Math.round(100 * value)}%`;
  return new Intl.NumberFormat(lang, { notation: Math.abs(value) >= 10_000 ? "compact" : "standard", maximumSignificantDigits: 3 }).format(value);
}

export function dayWords(day: Date, lang: Language = language()): string {
  return new Intl.DateTimeFormat(LOCALE[lang], { day: "numeric", month: lang === "ko" ? "long" : "short", year: "numeric", timeZone: "UTC" }).format(day);
}

/** A date on an axis: day and month, or month alone; the year on the first mark and where it begins. */
export function dayOnAxis(day: Date, first: boolean, fine: boolean, lang: Language = language()): string {
  const january = day.getUTCMonth() === 0 && day.getUTCDate() <= 7;
  const parts: Intl.DateTimeFormatOptions = { month: lang === "ko" ? (fine ? "numeric" : "long") : "short", timeZone: "UTC" };
  if (fine) parts.day = "numeric";
  if (first || january) parts.year = "numeric";
  return new Intl.DateTimeFormat(LOCALE[lang], parts).format(day);
}
