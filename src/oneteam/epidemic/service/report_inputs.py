"""Read what the other commands wrote, for a report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import FileUnreadableError, NothingFoundError, UnknownValueError
from oneteam.core.model import Text
from oneteam.epidemic.hub.columns import as_days, as_floats, as_text
from oneteam.epidemic.hub.forecasts import QuantileForecasts
from oneteam.epidemic.hub.locations import Locations
from oneteam.epidemic.hub.target_data import DEFAULT_LAG_WEEKS, Snapshot
from oneteam.epidemic.report.notes import repair_notes, step_notes
from oneteam.epidemic.report.study import Imports, Note, Place, RtSeries, Shapes, Source, Study, WhatIf
from oneteam.epidemic.report.voice import words
from oneteam.epidemic.scoring.exceedance import thresholds
from oneteam.epidemic.service.backtest import MANIFEST
from oneteam.epidemic.service.convert import LOCATIONS_FILE, REPORT_FILE, TARGET_FILE
from oneteam.epidemic.service.files import MODEL_OUTPUT, forecast_files, read_forecasts, read_locations, read_table, read_target_data
from oneteam.epidemic.service.simulate import read_scenario
from oneteam.store.geography import read_features
from oneteam.store.rows import read_text
from oneteam.store.tables import metadata_of, sha256_of

Floats = npt.NDArray[np.float64]

ENSEMBLE: Final = "oneteam-ensemble"
CURVE: Final = ("q0.05", "q0.25", "q0.5", "q0.75", "q0.95")
COUNTED: Final = {"wk inc flu hosp": words("admissions", "입원"), "hosp": words("admissions", "입원"), "case": words("cases", "환자")}
TITLE: Final = words("Epidemic outlook", "감염병 전망")


@dataclass(frozen=True)
class ReportFiles:
    """Where the pieces of a report stand; an absent piece is said to be absent.

    Args:
        target_data: weekly target data.
        locations: places with population.
        forecasts: folder with ``model-output``, or a folder of models.
        repairs: ``report.json`` of `convert`.
        scores: folder of `score`.
        situation: folder of `rt`.
        importation: folder of `importation`.
        scenario_file: the scenario's document.
        scenario: folder of `scenario`.
        variants: folders of the same scenario under other assumptions, by their name.
        notes: ``notes.txt``: further assumptions, one a line, English and Korean parted by a bar.
        geometry: shapes of the places, GeoJSON or TopoJSON.
        districts: shapes of the scenario's zones; drawn only when given.
    """

    target_data: Path
    locations: Path
    forecasts: Path
    repairs: Path | None = None
    scores: Path | None = None
    situation: Path | None = None
    importation: Path | None = None
    scenario_file: Path | None = None
    scenario: Path | None = None
    variants: Mapping[str, Path] = field(default_factory=dict)
    notes: Path | None = None
    geometry: Path | None = None
    districts: Path | None = None

    @classmethod
    def of_study(cls, folder: Path, geometry: Path | None = None, districts: Path | None = None) -> ReportFiles:
        """The pieces below a folder.

        They are ``data``, ``forecasts``, ``scores``, ``situation``, ``importation``, ``scenario.toml``, ``scenario``, ``scenario-NAME`` for
        variants, and ``notes.txt``.

        Raises:
            FileUnreadableError: no target data or no forecasts.
        """
        data = folder / "data"
        for needed, command in ((data / TARGET_FILE, "convert"), (data / LOCATIONS_FILE, "convert"), (folder / "forecasts", "forecast")):
            if not needed.exists():
                raise FileUnreadableError(f"{needed}: not found", hint=f"Make it with `oneteam epidemic {command}`.")

        def there(path: Path) -> Path | None:
            return path if path.exists() else None

        return cls(
            data / TARGET_FILE,
            data / LOCATIONS_FILE,
            folder / "forecasts",
            there(data / REPORT_FILE),
            there(folder / "scores" / "scores.json"),
            there(folder / "situation"),
            there(folder / "importation"),
            there(folder / "scenario.toml"),
            there(folder / "scenario"),
            {p.name.removeprefix("scenario-").replace("-", " "): p for p in sorted(folder.glob("scenario-*")) if p.is_dir()},
            there(folder / "notes.txt"),
            geometry,
            districts,
        )


@dataclass(frozen=True)
class ReportSettings:
    """What is reported.

    Args:
        reference_date: of the forecast; the newest when None.
        model: whose forecasts.
        horizon: weeks ahead that the first sentence is about.
        threshold: as of `score`: a quantile such as ``q0.75``, or counts per 100,000 inhabitants and week.
        aggregate: code of the sum over all places, which is not ranked.
        title: of the report; English and Korean may be parted by a bar.
        language: ``en``, ``ko``, ``both``, or both in order.
        notes: step and text of what the reader should know besides, such as what nobody would answer.
    """

    reference_date: date | None = None
    model: str = ENSEMBLE
    horizon: int = 2
    threshold: str = "q0.75"
    aggregate: str | None = None
    title: str | None = None
    language: str = "both"
    notes: tuple[tuple[Text, Text], ...] = ()


def read_study(files: ReportFiles, settings: ReportSettings) -> Study:
    """Everything a report says, from files."""
    forecasts, model_files = _forecasts(files.forecasts, settings.model)
    day = settings.reference_date or forecasts.reference_date.max().item()
    targets = sorted(set(forecasts.target.tolist()))
    data = read_target_data(files.target_data)
    truth = data.final()
    places = read_locations(files.locations)
    shapes, names = _shapes(files.geometry)
    districts, district_names = _shapes(files.districts)
    _check(forecasts, day, settings, truth, str(files.forecasts))
    ranked, whole = _places(forecasts, places, names, settings.aggregate)
    limits, rule = thresholds(settings.threshold, truth, forecasts.reference_date.min(), places)
    counted = next((w for key, w in COUNTED.items() if key in targets[0]), words("counts", "사례"))
    scores = _json(files.scores) if files.scores else None
    study = Study(
        title=_title(settings.title),
        counted=counted,
        places=ranked,
        whole=whole,
        known=data.snapshot(day, lag_weeks=0 if forecasts.horizon.min() >= 1 else DEFAULT_LAG_WEEKS),
        truth=truth,
        model=settings.model,
        forecasts=forecasts,
        reference_date=day,
        horizon=settings.horizon,
        limits=limits,
        rule=_rule(settings.threshold, counted),
        rule_in_scores=rule,
        label=metadata_of(model_files[-1]).get("label", data.label),
        scores=scores,
        situation=_json(files.situation / "situation.json") if files.situation else None,
        rt=_rt(files.situation / "rt.csv") if files.situation else {},
        imports=_imports(files.importation) if files.importation else None,
        what_if=_what_if(files) if files.scenario and files.scenario_file else None,
        shapes=shapes,
        districts=districts,
        district_names=district_names,
        notes=(),
        sources=_sources(files, truth, model_files),
    )
    further = [Note(step, what) for step, what in settings.notes]
    return replace(study, notes=(*further, *_notes(study, files)))


def _forecasts(folder: Path, model: str) -> tuple[QuantileForecasts, list[Path]]:
    where = folder / MODEL_OUTPUT if (folder / MODEL_OUTPUT).is_dir() else folder
    known = forecast_files(where)
    if model not in known:
        raise UnknownValueError(f"{where}: no model {model!r}; it has: {', '.join(known)}", hint="Choose one with --model.")
    path = where / model if (where / model).is_dir() else known[model][0]
    return read_forecasts(path)[model], sorted(known[model])


def _check(forecasts: QuantileForecasts, day: date, settings: ReportSettings, truth: Snapshot, where: str) -> None:
    at = forecasts.reference_date == np.datetime64(day, "D")
    if not at.any():
        first, last = forecasts.reference_date.min(), forecasts.reference_date.max()
        raise NothingFoundError(f"{where}: no forecast of {settings.model} for reference date {day}; it has {first} to {last}")
    horizons = sorted(set(forecasts.horizon[at].tolist()))
    if settings.horizon not in horizons:
        raise UnknownValueError(f"--horizon {settings.horizon}: the forecast of {day} has {', '.join(map(str, horizons))}")
    absent = sorted(set(forecasts.location[at].tolist()) - set(truth.locations))
    if absent:
        raise UnknownValueError(f"{where}: forecasts of {len(absent)} places that the target data lack: {', '.join(absent[:5])}")


def _places(
    forecasts: QuantileForecasts, known: Locations, names: Mapping[str, Text], aggregate: str | None
) -> tuple[tuple[Place, ...], Place | None]:
    codes = list(dict.fromkeys(forecasts.location.tolist()))
    known.need(codes, "forecasts")
    if aggregate is not None and aggregate not in codes:
        raise UnknownValueError(f"--aggregate {aggregate}: not among the places of the forecast: {', '.join(codes[:8])}")
    every = {}
    for code in codes:
        name = known.names[known.index[code]]
        every[code] = Place(code, names.get(code) or words(name, name), known.population_of(code))
    if aggregate is not None and every[aggregate].name.en == aggregate:
        every[aggregate] = replace(every[aggregate], name=words("All places", "전국"))
    return tuple(p for code, p in every.items() if code != aggregate), every[aggregate] if aggregate else None


def _shapes(path: Path | None) -> tuple[Shapes, dict[str, Text]]:
    """Shapes by code, and names in both languages where the file tells them."""
    if path is None:
        return {}, {}
    features = read_features(path, "code")
    names = {}
    for feature in features:
        found = feature.properties
        plain = str(found.get("name") or feature.code)
        local = str(found.get("name_ko") or plain)
        # Without a name in English the plain one stands for it.
        names[feature.code] = words(_plain_name(str(found.get("name_eng") or found.get("name_en") or plain), local), _short(local))
    return {f.code: f.geometry for f in features if f.geometry is not None}, names


_SHORT: Final = {"충청북도": "충북", "충청남도": "충남", "전라북도": "전북", "전라남도": "전남", "경상북도": "경북", "경상남도": "경남"}


def _short(name: str) -> str:
    """A Korean province's everyday name: 서울특별시 is 서울, 충청북도 is 충북."""
    return _SHORT.get(name) or re.sub(r"(특별자치도|특별자치시|특별시|광역시|도)$", "", name) or name


def _plain_name(name: str, local: str) -> str:
    """A Korean name without its kind, which all names of its level end on.

    >>> _plain_name("Gyeonggi-do", "경기도"), _plain_name("Sejongsi", "세종특별자치시"), _plain_name("Brindisi", "Brindisi")
    ('Gyeonggi', 'Sejong', 'Brindisi')
    """
    short = re.sub(r"-(do|si|gun|gu)$", "", name)
    return short.removesuffix("si") if local.endswith("시") else short


def _title(text: str | None) -> Text:
    if not text:
        return TITLE
    en, _, ko = (part.strip() for part in text.partition("|"))
    return words(en, ko or en)


def _rule(threshold: str, counted: Text) -> Text:
    if threshold.startswith("q"):
        share = f"{100 * float(threshold[1:]):g}%"
        return words(f"more {counted.en} than in {share} of a place’s own past weeks", f"해당 지역 과거 주의 {share}보다 많은 {counted.ko}")
    return words(f"{threshold} or more {counted.en} per 100,000 people", f"인구 10만 명당 {counted.ko} {threshold}명 이상")


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise FileUnreadableError(f"{path}: not a readable JSON document: {err}") from err
    return found


def _rt(path: Path) -> dict[str, RtSeries]:
    try:
        table, where = read_table(path), str(path)
    except NothingFoundError:
        # Too few cases anywhere: there is a situation, and no Rt in it.
        return {}
    codes = as_text(table, ["location"], where)
    found = {}
    for code in dict.fromkeys(codes.to_pylist()):
        rows = table.filter(pc.equal(codes, code))
        numbers = [as_floats(rows, [name], where) for name in ("low", "median", "high", "cases")]
        found[code] = RtSeries(as_days(rows, ["day"], where), *numbers)
    return found


def _imports(folder: Path) -> Imports:
    told = _json(folder / "importation.json")
    path = folder / "totals.csv"
    table = read_table(path)
    weeks = as_days(table, ["week_end"], str(path))
    missing = np.full(len(weeks), np.nan)
    quantiles = [_floats(table, name, path) if name in table.column_names else missing for name in ("q0.025", "q0.5", "q0.975")]
    identifiable = bool(told["identifiable"])
    return Imports(
        identifiable,
        weeks,
        _floats(table, "observed", path),
        np.stack(quantiles, axis=1),
        told["origins"] if identifiable else (),
        told["measures"],
        {k: v for k, v in told["scores"].items() if v is not None},
        told["notes"],
        _origins_period(told.get("weeks", ())),
    )


def _origins_period(weeks: Sequence[Mapping[str, Any]]) -> tuple[date, date] | None:
    """First and last day of the weeks whose imported cases are told by origin."""
    ends = [date.fromisoformat(week["week ending"]) for week in weeks if week.get("expected") is not None]
    return (min(ends) - timedelta(days=6), max(ends)) if ends else None


def _floats(table: pa.Table, name: str, path: Path) -> Floats:
    return as_floats(table, [name], str(path))


def _what_if(files: ReportFiles) -> WhatIf:
    assert files.scenario is not None
    assert files.scenario_file is not None
    scenario = read_scenario(files.scenario_file)
    told = _json(files.scenario / "comparison.json")
    first = next(iter(told["averted"]))
    days, *curves = (_curve(files.scenario / f"{name}-national.parquet", first) for name in ("baseline", "scenario"))
    zones = read_table(files.scenario / "averted-zones.parquet").to_pylist()
    variants = {name: _json(path / "comparison.json")["averted"][first] for name, path in files.variants.items()}
    return WhatIf(
        scenario,
        told["averted"],
        variants,
        days[0],
        (days[1], curves[0][1]),
        {row["zone"]: (row["baseline"], row["averted"]) for row in zones if row["quantity"] == first},
        first,
        told["notes"],
    )


def _curve(path: Path, quantity: str) -> tuple[npt.NDArray[np.datetime64], Floats]:
    table = read_table(path)
    rows = table.filter(pc.equal(table["quantity"], quantity))
    return as_days(rows, ["date"], str(path)), np.stack([as_floats(rows, [name], str(path)) for name in CURVE], axis=1)


def _notes(study: Study, files: ReportFiles) -> list[Note]:
    found = repair_notes(_json(files.repairs)["repairs"], study.named) if files.repairs else []
    if study.label != "vintage":
        what = words(
            "The data have no vintages: past forecasts are cut from today’s data, so that later corrections are in them (“revised data”).",
            "시점별 자료가 없어 과거 예측도 현재 자료에서 잘라 만들었으며 이후의 정정이 포함되어 있습니다(‘사후 수정 자료’).",
        )
        found.append(Note(words("Forecast", "예측"), what))
    if study.situation:
        found += step_notes(words("Rt", "Rt"), study.situation["notes"], found)
    if study.imports:
        found += step_notes(words("Importation", "해외 유입"), list(study.imports.notes), found)
    if study.what_if:
        found += _scenario_notes(study.what_if)
    if files.notes:
        for line in read_text(files.notes).splitlines():
            en, _, ko = (part.strip() for part in line.partition("|"))
            if en:
                found.append(Note(words("Further", "추가"), words(en, ko or en)))
    return found


def _scenario_notes(found: WhatIf) -> list[Note]:
    step = words("Scenario", "시나리오")
    model, run = found.scenario.model, found.scenario.run
    name = model.preset or model.file
    people = sum(i.people for i in found.scenario.infected)
    number = f"{model.reproduction_number:g}" if model.reproduction_number else None
    start = words(
        f"Model {name}, reproduction number {number or 'its own'} before its variants and season, {people:,} people infected on "
        f"{run.first_day}; everybody else starts susceptible.",
        f"모형 {name}, 재생산수 {number or '모형의 값'}(변이·계절 반영 전), {run.first_day}에 감염자 {people:,}명, 나머지는 모두 "
        "감수성자로 시작.",
    )
    return [Note(step, start), *step_notes(step, list(found.notes))]


def _sources(files: ReportFiles, truth: Snapshot, models: Sequence[Path]) -> tuple[Source, ...]:
    found = [
        Source(words("Target data", "목표 자료"), files.target_data.name, truth.last_week, sha256_of(files.target_data)),
        Source(words("Places", "지역"), files.locations.name, None, sha256_of(files.locations)),
        Source(words("Forecast", "예측"), models[-1].name, None, sha256_of(models[-1])),
    ]
    manifest = files.forecasts / MANIFEST
    used = _json(manifest)["inputs"] if manifest.exists() else {}
    found += [
        Source(words("Movement", "이동") if key == "mobility" else words("History", "과거 계열"), str(key), None, str(used[key]))
        for key in used
        if key == "mobility" or key.startswith("history_")
    ]
    others = [
        (words("Scores", "성적"), files.scores),
        (words("Situation", "상황"), files.situation and files.situation / "situation.json"),
        (words("Importation", "해외 유입"), files.importation and files.importation / "importation.json"),
        (words("Scenario", "시나리오"), files.scenario_file),
        *(_world(files.scenario_file) if files.scenario_file else ()),
        (words("Shapes", "경계"), files.geometry),
        (words("Districts", "시군구 경계"), files.districts),
    ]
    return (*found, *(Source(what, path.name, None, sha256_of(path)) for what, path in others if path))


def _world(document: Path) -> list[tuple[Text, Path | None]]:
    """The files that a scenario's world is read from; those that are no longer there are left out."""
    world = read_scenario(document).world
    named = (
        (words("Zones", "구역"), world.zones),
        (words("Trips (OD)", "통행(OD)"), world.od),
        *((words("Trips (OD)", "통행(OD)"), name) for name in world.od_files),
        (words("Movement", "이동"), world.mobility),
        (words("Crosswalk", "대응표"), world.crosswalk),
        (words("Ages", "연령"), world.ages),
    )
    return [(what, path) for what, name in named if name and (path := document.parent / name).is_file()]
