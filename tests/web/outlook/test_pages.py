"""The analysis pages and their API as a viewer meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil

import pytest

from oneteam.web.outlook.catalogue import API, CHARTS
from tests.web.browser import Browser
from tests.web.outlook.studies import progress

PAGES = ("/now", "/place/11110", "/importation", "/mobility", "/scores")
LANGUAGES = ("en", "ko")


def address(chart):
    return f"{API}/place/11110/{chart.name}" if chart.needs == "place" else f"{API}/{chart.name}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_speaks_both_languages_and_holds_nothing_inline(viewers, page, language):
    answer = viewers[language].get(page)
    assert answer.status_code == 200
    text = answer.text
    assert f'<html lang="{language}"' in text
    assert "⟦" not in text, re.findall("⟦[^⟧]*⟧", text)
    assert text.count("<h1>") == 1
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", text)
    assert "2024-03-02" in text
    if language == "ko":
        assert re.search("[가-힣]{2}", text.split("<main")[1])


@pytest.mark.parametrize("page", PAGES)
def test_every_chart_on_a_page_has_its_data_its_table_and_its_file(viewer, page):
    text = viewer.get(page).text
    figures = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert figures
    for figure in figures:
        url = re.search(r'data-url="([^"]+)"', figure)[1].replace("&amp;", "&")
        assert viewer.get(url).json()
        file = re.search(r'href="([^"]+)" download', figure)[1].replace("&amp;", "&")
        assert viewer.get(file).headers["content-type"].startswith("text/csv")
        later = re.search(r'hx-get="([^"]+)"', figure)
        rows = viewer.get(later[1].replace("&amp;", "&")).text if later else figure
        assert rows.count("<tr>") > 1


@pytest.mark.parametrize("name", [c.name for c in CHARTS.values() if c.name != "place-scores-map"])
def test_the_file_holds_the_numbers_of_the_chart(viewer, name):
    chart = CHARTS[name]
    document = chart.document.model_validate(viewer.get(address(chart)).json())
    told = viewer.get(f"{address(chart)}?format=csv").text
    rows = list(csv.reader(io.StringIO(told)))[1:]
    assert rows
    sent = sorted(_numbers(json.loads(document.model_dump_json())))
    read = sorted(float(cell) for row in rows for cell in row if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell))
    missing = [value for value in read if not any(abs(value - other) <= 1e-9 * abs(value) for other in sent)]
    assert not missing, name


def _numbers(document):
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _numbers(value)
            yield from _numbers(key)
    elif isinstance(document, list):
        for value in document:
            yield from _numbers(value)
    elif isinstance(document, int | float) or (isinstance(document, str) and re.fullmatch(r"-?\d+(\.\d+)?", document)):
        yield float(document)


def test_the_table_on_the_page_holds_the_numbers_of_the_chart(viewer):
    fan = viewer.get(f"{API}/place/11110/fan").json()
    text = viewer.get("/place/11110").text
    table = re.search(r'id="chart-fan".*?</figure>', text, re.DOTALL)[0]
    for value in fan["series"][0]["middle"][-3:]:
        assert f">{value:,.0f}<" in table
    for value in fan["series"][1]["middle"]:
        assert f">{value:,.0f}<" in table


def test_a_folder_without_a_study_says_what_makes_one(visit, tmp_path):
    empty = tmp_path / "nothing"
    empty.mkdir()
    viewer = visit(empty)
    for page in ("/now", "/place", "/place/11", "/importation", "/mobility", "/scores"):
        answer = viewer.get(page)
        assert answer.status_code == 200, page
        assert "not-made" in answer.text
        assert "oneteam " in re.search(r"<code>(.*?)</code>", answer.text)[1]
    for chart in CHARTS.values():
        assert viewer.get(address(chart)).status_code == 404
    assert viewer.get(f"{API}/places").json() == viewer.get(f"{API}/findings").json() == []


def test_a_piece_that_is_not_there_leaves_the_rest_standing(visit, study):
    viewer = visit(study)
    for gone in ("scores", "situation", "importation", "mobility", "scenario.toml", "zones.geojson", "zones.csv", "summary.json"):
        path = study / gone
        away = path.rename(study.parent / gone)
        for page in PAGES:
            assert viewer.get(page).status_code == 200, (gone, page)
        away.rename(path)


def test_a_spoilt_file_is_named_and_breaks_nothing(visit, study):
    (study / "data" / "time-series.parquet").write_bytes(b"no parquet")
    viewer = visit(study)
    answer = viewer.get("/now")
    assert answer.status_code == 200
    assert "time-series.parquet" in answer.text
    assert viewer.get("/mobility").status_code == 200


def test_the_first_page_has_three_sentences_with_date_validation_and_record(viewer):
    text = viewer.get("/now").text
    sentences = re.findall(r'<section class="finding".*?</section>', text, re.DOTALL)
    assert len(sentences) == 3
    for told in sentences:
        assert told.count("<dt>") == 3
        assert 'class="status ' in told
    rows = viewer.get(f"{API}/findings").json()
    assert [r["key"] for r in rows] == ["next", "from", "if"]
    first = viewer.get(f"{API}/places").json()[0]
    assert first["name"] in rows[0]["answer"]


def test_a_running_study_is_followed_and_a_finished_one_is_not(visit, study):
    viewer = visit(study)
    assert "hx-get" not in viewer.get("/now").text
    for state, asks in (("running", True), ("failed", False)):
        (study / "progress.json").write_text(json.dumps(progress(state)), encoding="utf-8")
        for page in ("/now", "/now/progress"):
            text = viewer.get(page).text
            assert ('hx-get="/now/progress"' in text) is asks
            assert f'class="{state}"' in text
    (study / "progress.json").write_text('{"steps": [', encoding="utf-8")
    assert viewer.get("/now/progress").status_code == 200


def test_a_changed_file_is_seen_at_once(visit, study):
    viewer = visit(study)
    assert "Made-up outlook" in viewer.get("/now").text
    summary = study / "summary.json"
    summary.write_text(summary.read_text(encoding="utf-8").replace("Made-up outlook", "Another outlook"), encoding="utf-8")
    os.utime(summary, ns=(1, 1))
    assert "Another outlook" in viewer.get("/now").text


@pytest.mark.parametrize("asked", ["11110", "Zone 2", "zone 2", "Zone 2 (11110)"])
def test_a_place_is_found_by_code_and_by_name(viewer, asked):
    answer = viewer.get("/place", params={"q": asked})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/place/11110"


@pytest.mark.parametrize("asked", ["Nowhere", "11110/../..", "%00", "<b>"])
def test_a_place_that_is_not_there_is_said_so(viewer, asked):
    answer = viewer.get("/place", params={"q": asked})
    assert answer.status_code == 404
    assert 'role="alert"' in answer.text
    assert "<b>" not in answer.text.split("<main")[1]


def test_a_part_of_a_name_lists_the_places_that_hold_it_as_people_count(viewer):
    answer = viewer.get("/place", params={"q": "zone"})
    assert answer.status_code == 200
    assert 'role="alert"' not in answer.text
    main = answer.text.split("<main")[1]
    places = re.findall(r'<li><a href="/place/[^"]+">(Zone \d+)</a>', main)
    assert len(places) > 1
    assert places == sorted(places, key=lambda name: int(name.split()[1]))


def test_an_unknown_period_falls_back_on_the_page_and_is_refused_by_the_api(viewer):
    assert "2024-02-25 – 2024-03-02</option>" in viewer.get("/mobility?period=77").text
    assert viewer.get(f"{API}/flows?period=77").status_code == 404
    assert viewer.get(f"{API}/flows?period=-5").status_code in {400, 422}
    early, late = (viewer.get(f"{API}/flows?period={p}").json()["flows"][0]["trips"] for p in (0, 2))
    assert early > late


def test_alerts_stand_in_the_language_of_the_page(visit, study):
    alert = {
        "id": "a1", "areas": [{"id": "place.11110"}], "headline": {"en": "Risk high: Zone 2", "ko": "위험 높음: Zone 2"},
        "description": {"en": "Many.", "ko": "많음."}, "severity": "Severe", "status": "Actual", "effective": "2024-03-02T00:00:00Z",
    }  # fmt: skip
    (study / "alerts").mkdir()
    (study / "alerts" / "alerts.json").write_text(json.dumps([alert]), encoding="utf-8")
    assert '<a href="/place/11110">위험 높음: Zone 2</a>' in visit(study, "ko").get("/now").text


def test_the_report_can_be_had_where_it_was_made(visit, study):
    viewer = visit(study)
    assert viewer.get("/now/report").status_code == 404
    (study / "report.html").write_text("<p>Report</p>", encoding="utf-8")
    answer = viewer.get("/now/report")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]


def test_nobody_reads_it_without_signing_in(shown):
    stranger = Browser(shown)
    for page in PAGES:
        assert stranger.get(page).status_code == 303
    assert stranger.get(f"{API}/map").status_code == 401


def test_the_api_describes_every_chart(viewer):
    paths = viewer.get("/api/openapi.json").json()["paths"]
    for chart in CHARTS.values():
        assert address(chart).replace("11110", "{code}") in paths


def test_where_no_origin_can_be_told_no_country_is_ranked(visit, study):
    told = json.loads((study / "importation" / "importation.json").read_text(encoding="utf-8"))
    told |= {"identifiable": False, "origins": "origin not identifiable"}
    (study / "importation" / "importation.json").write_text(json.dumps(told), encoding="utf-8")
    (study / "importation" / "origin_weeks.parquet").unlink()
    viewer = visit(study)
    text = viewer.get("/importation").text
    assert "Origin not identifiable" in text
    assert "Vietnam" not in text
    assert viewer.get(f"{API}/world").status_code == 404
    assert viewer.get(f"{API}/origins").status_code == 404


def test_the_truth_is_shown_only_where_it_is_known(visit, study):
    viewer = visit(study)
    assert "0.984" in viewer.get("/scores").text
    shutil.rmtree(study / "truth")
    assert "0.984" not in viewer.get("/scores").text


def test_what_was_released_and_refused_is_told(visit, study):
    viewer = visit(study)
    assert "Releases used" not in viewer.get("/now").text
    (study / "provenance.json").write_text(json.dumps({"releases": [{"id": "r1"}, {"id": "r2"}], "rho_spent": 0.43}), encoding="utf-8")
    (study / "releases").mkdir()
    refused = [{"measure": "presence", "code": "trust.refused", "message": "no agreement <allows> it"}]
    (study / "releases" / "refusals.json").write_text(json.dumps(refused), encoding="utf-8")
    text = viewer.get("/now").text
    assert "2 Releases from members, privacy budget spent: ρ = 0.43" in text
    assert "Refused: presence – no agreement &lt;allows&gt; it" in text


@pytest.mark.parametrize("address", ["nothing", "fan", "flows?period=99", "place-scores-map"])
def test_numbers_that_are_not_there_are_said_so(viewer, address):
    assert viewer.get(f"/numbers/{address}").status_code == 404
