"""What the What-if pages show of results: tables and charts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from oneteam.app.whatif.results import Curve, Effect, Result
from oneteam.epidemic.engine.summary import Interval
from oneteam.epidemic.report.voice import count, day_words, short_day
from oneteam.web.face import said
from oneteam.web.language import Language, translator
from oneteam.web.outlook.catalogue import Figure
from oneteam.web.outlook.charts import Band, Cell, Column, Grid, Kind, Number, Series, SeriesChart, WrittenTable, finite
from oneteam.web.whatif.runs import MAIN, Shown, share_words

API: Final = "/api/v1/whatif"
DRAWN: Final = ("infections", "hospital", "deaths")
"""What a page draws, as far as a model counts it."""
COUNTED: Final = ("infections", "cases", "admissions", "hospital", "deaths")


def drawn(results: Sequence[Result]) -> tuple[str, ...]:
    """Quantities that all results can draw and that are not zero all the time in each of them; the first where there are none."""
    usual = tuple(
        name
        for name in DRAWN
        if all(name in result.quantities for result in results) and any(result.highest(name) > 0 for result in results)
    )
    return usual or results[0].quantities[:1]


def scale_of(results: Sequence[Result], quantity: str) -> float:
    """The top of the common scale of several charts."""
    return max(result.highest(quantity) for result in results)


def chart(result: Result, quantity: str, language: Language, top: Number = None) -> SeriesChart:
    """A quantity by day, with the measures and without.

    Args:
        result: of a run.
        quantity: one that it draws.
        language: of its words.
        top: what the scale reaches to at least.
    """
    t = translator(language)
    without, within = result.curves[quantity]
    starts = [measure.first for measure in result.scenario.measures]
    first = max(min(starts), result.days[0]) if starts else None

    def series(name: str, curve: Curve, tone: int) -> Series:
        bands = tuple(
            Band(level=level, low=tuple(map(finite, low.tolist())), high=tuple(map(finite, high.tolist())))
            for level, (low, high) in curve.bands.items()
        )
        middle = tuple(map(finite, curve.median.tolist()))
        return Series(id=name, label=t(f"whatif.{name}"), kind="fan", tone=1 if tone else 0, days=result.days, middle=middle, bands=bands)

    return SeriesChart(
        unit=t(f"whatif.q.{quantity}"),
        series=(series("without", without, 1), series("with", within, 0)),
        now=first,
        scale_to=top,
    )


def chart_grid(made: SeriesChart, language: Language) -> Grid:
    """The numbers of a chart."""
    t = translator(language)
    return made.grid(t("place.day"), t("place.value"), t("place.series"))


def figure(shown: Shown, quantity: str, language: Language, top: float, *, title: str = "", alone: bool = True) -> Figure:
    """A chart on a page.

    Args:
        shown: the run.
        quantity: what is drawn.
        language: of the page.
        top: of its scale.
        title: the quantity's own where there is none.
        alone: whether it is the page's only run; else its id names the run.
    """
    t = translator(language)
    made = chart(shown.result, quantity, language, top)
    levels = ", ".join(f"{band.level}%" for band in made.series[0].bands)
    about = t("whatif.chart.about", levels=levels, members=shown.result.scenario.run.members)
    url = f"{API}/runs/{shown.entry.id}/chart/{quantity}"
    table = chart_grid(made, language).written()
    name = f"chart-{quantity}" if alone else f"chart-{quantity}-{shown.entry.id}"
    heading = title or t(f"whatif.chart.{quantity}")
    return Figure(name, "series", heading, about, f"{url}?top={top:.10g}", f"{url}?format=csv", table)


def effect_grid(result: Result, language: Language) -> Grid:
    """What the measures change, unrounded: one row a quantity."""
    t = translator(language)
    columns = [Column(id="quantity", label=t("whatif.row.what"))]
    for name in ("without", "with", "averted", "share"):
        kind: Kind = "share" if name == "share" else "count"
        columns += [Column(id=f"{name}{end}", label=f"{t(f'whatif.row.{name}')}{end}", kind=kind) for end in ("", "_low_95", "_high_95")]
    rows: list[tuple[Cell, ...]] = []
    for name in COUNTED:
        effect = result.effects.get(name)
        if effect is not None:
            numbers = [x for one in (effect.without, effect.within, effect.averted, effect.share) for x in (one.median, one.low, one.high)]
            rows.append((name, *numbers))
    return Grid(columns=tuple(columns), rows=tuple(rows))


def effect_table(result: Result, language: Language) -> WrittenTable:
    """What the measures change, for people: totals, the peak and its day."""
    t = translator(language)
    heads = ("what", "without", "with", "averted", "share")
    columns = tuple(Column(id=name, label=t(f"whatif.row.{name}"), kind="text" if name == "what" else "count") for name in heads)
    rows: list[tuple[str, ...]] = []
    for name in COUNTED:
        effect = result.effects.get(name)
        if effect is None or effect.without.high <= 0:
            continue
        told = (ranged(effect.without), ranged(effect.within), ranged(effect.averted), share_words(effect.share))
        rows.append((t(f"whatif.row.{name}"), *told))
        if name == MAIN:
            rows += _peak_rows(effect, result, language)
    return WrittenTable(columns=columns, rows=tuple(rows))


def _peak_rows(effect: Effect, result: Result, language: Language) -> list[tuple[str, ...]]:
    t = translator(language)
    rows: list[tuple[str, ...]] = []
    if effect.peak_without is not None and effect.peak_within is not None:
        rows.append((t("whatif.row.peak"), ranged(effect.peak_without), ranged(effect.peak_within), "", ""))
    days = [peak_day(told, result, language) for told in (effect.day_without, effect.day_within)]
    if all(days):
        rows.append((t("whatif.row.peak_day"), *days, "", ""))
    return rows


def compare_table(chosen: Sequence[Shown], language: Language) -> WrittenTable:
    """Several runs side by side: one column a run."""
    t = translator(language)
    columns = [Column(id="what", label=t("whatif.row.what"))]
    columns += [Column(id=shown.entry.id, label=shown.entry.title, kind="text") for shown in chosen]
    results = [shown.result for shown in chosen]
    rows: list[tuple[str, ...]] = [
        (t("whatif.row.measures"), *(shown.entry.measures for shown in chosen)),
        (t("whatif.row.length"), *(f"{len(r.days)}, {r.scenario.run.members}" for r in results)),
    ]

    def row(label: str, cells: Sequence[str]) -> None:
        if any(cells):
            rows.append((label, *(cell or "–" for cell in cells)))

    for name in ("infections", "hospital", "deaths"):
        effects = [result.effects.get(name) for result in results]
        what = t(f"whatif.row.{name}")
        if all(effect is None or effect.without.high <= 0 for effect in effects):
            continue
        if name == MAIN:
            row(t("whatif.row.of_without", what=what), [ranged(e.without) if e else "" for e in effects])
            row(t("whatif.row.of_with", what=what), [ranged(e.within) if e else "" for e in effects])
        row(t("whatif.row.of_averted", what=what), [f"{ranged(e.averted)}; {share_words(e.share)}" if e else "" for e in effects])
        if name == MAIN:
            row(t("whatif.row.peak"), [ranged(e.peak_within) if e and e.peak_within else "" for e in effects])
            row(
                t("whatif.row.peak_day"),
                [peak_day(e.day_within, r, language) if e else "" for e, r in zip(effects, results, strict=True)],
            )
    return WrittenTable(columns=tuple(columns), rows=tuple(rows))


def compare_grid(chosen: Sequence[Shown], language: Language) -> Grid:
    """The same, unrounded: one row a run and quantity."""
    t = translator(language)
    head = [Column(id="run", label=t("whatif.col.run")), Column(id="title", label=t("whatif.title"))]
    grids = [(shown, effect_grid(shown.result, language)) for shown in chosen]
    rows = [(shown.entry.id, shown.entry.title, *row) for shown, grid in grids for row in grid.rows]
    return Grid(columns=(*head, *grids[0][1].columns), rows=tuple(rows))


def sentence(result: Result, language: Language) -> str:
    """What the measures change, in one sentence."""
    effect = result.effects.get(MAIN)
    if effect is None:
        return ""
    if effect.share.median < 0:
        less = effect.share
        more = Interval(-less.mean, -less.median, -less.high, -less.low)
        return translator(language)("whatif.sentence.more", days=len(result.days), share=share_words(more))
    return translator(language)("whatif.sentence", days=len(result.days), share=share_words(effect.share))


def ranged(found: Interval) -> str:
    """A count and its 95% interval.

    >>> ranged(Interval(1200.0, 1190.0, 1000.0, 1400.0)), ranged(Interval(0.0, 0.0, 0.0, 0.0))
    ('1,190 (1,000–1,400)', '0')
    """
    ends = count(found.low), count(found.high)
    return count(found.median) if ends[0] == ends[1] else f"{count(found.median)} ({ends[0]}–{ends[1]})"


def peak_day(told: tuple[date, date | None, date | None] | None, result: Result, language: Language) -> str:
    """The worst day; that it is the last one where the wave has not turned."""
    if told is None:
        return ""
    middle, low, high = told
    text = said(day_words(middle), language)
    if middle >= result.days[-1]:
        text = translator(language)("whatif.row.still_rising", day=text)
    if low is None or high is None or low == high:
        return text
    return f"{text} ({said(short_day(low), language)}–{said(short_day(high), language)})"
