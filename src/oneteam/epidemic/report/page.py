"""The page as a whole: one file, no script, nothing loaded from elsewhere."""

from __future__ import annotations

from typing import Final

from oneteam.core.model import Text
from oneteam.epidemic.report.findings import Finding, findings
from oneteam.epidemic.report.import_section import import_section
from oneteam.epidemic.report.outlook_section import chance_map, outlook_section
from oneteam.epidemic.report.spread_section import rt_section
from oneteam.epidemic.report.study import Study
from oneteam.epidemic.report.track_section import data_section, track_section
from oneteam.epidemic.report.voice import LANGUAGES, Voice, day_words, words
from oneteam.epidemic.report.what_if_section import what_if_section

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page may load nothing: a browser enforces that it is self-contained."""
SECTIONS: Final = {
    "outlook": words("Where next", "다음은 어디인가"),
    "spread": words("Spread", "확산 속도"),
    "origin": words("Where from", "유입"),
    "measure": words("Measure", "조치"),
    "record": words("Track record", "성적"),
    "data": words("Data", "자료"),
}


def page(study: Study, voice: Voice, style: str) -> str:
    """The report as HTML.

    Args:
        study: what it says.
        voice: in which languages.
        style: the style sheet.
    """
    first = voice.languages[0]
    title = getattr(study.title, first)
    body = "".join(
        [
            _switch(voice),
            '<div class="page">',
            _head(study, voice),
            "<main>",
            _front(study, voice),
            outlook_section(study, voice),
            rt_section(study, voice),
            import_section(study, voice),
            what_if_section(study, voice),
            track_section(study, voice),
            data_section(study, voice),
            "</main>",
            _foot(study, voice),
            "</div>",
        ]
    )
    return (
        f'<!doctype html>\n<html lang="{first}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{voice.plain(study.title) if len(voice.languages) == 1 else title}</title>"
        f"<style>{style}</style></head><body>{body}</body></html>\n"
    )


def _switch(voice: Voice) -> str:
    """Radio buttons before the page: the style sheet shows the language that is chosen, without script."""
    if len(voice.languages) == 1:
        return ""
    checked = dict.fromkeys(voice.languages[:1], " checked")
    buttons = "".join(
        f'<input type="radio" name="language" id="language-{code}" class="language" aria-label="{LANGUAGES[code]}"{checked.get(code, "")}>'
        for code in voice.languages
    )
    labels = "".join(f'<label for="language-{code}" lang="{code}">{LANGUAGES[code]}</label>' for code in voice.languages)
    return f'{buttons}<div class="switch">{labels}</div>'


def _head(study: Study, voice: Voice) -> str:
    data_day = day_words(study.known.last_week)
    made = day_words(study.reference_date)
    revised = ' <span class="tag">' + voice.text(words("revised data", "사후 수정 자료")) + "</span>" if study.label != "vintage" else ""
    line = words(f"Forecast of {made.en} · data to {data_day.en}", f"{made.ko} 예측 · {data_day.ko}까지의 자료")
    links = "".join(f'<a href="#{key}">{voice.text(name)}</a>' for key, name in SECTIONS.items())
    return f'<header><h1>{voice.text(study.title)}</h1><p class="when">{voice.text(line)}{revised}</p><nav>{links}</nav></header>'


def _front(study: Study, voice: Voice) -> str:
    cards = "".join(_card(found, voice) for found in findings(study))
    hero = chance_map(study, voice)
    return f'<div class="front{"" if hero else " wide"}"><div class="findings">{cards}</div>{hero}</div>'


def _card(found: Finding, voice: Voice) -> str:
    def fact(name: Text, value: str) -> str:
        return f"<div><dt>{voice.text(name)}</dt><dd>{value}</dd></div>"

    facts = (
        fact(words("Data", "자료"), voice.text(found.data))
        + fact(words("Validated?", "검증"), f'<span class="grade {found.grade}">{voice.text(found.validation)}</span>')
        + fact(words("Track record", "성적"), voice.text(found.record))
    )
    warning = f'<p class="warning">{voice.text(found.warning)}</p>' if found.warning else ""
    return (
        f'<article class="finding" aria-labelledby="finding-{found.key}"><h2 id="finding-{found.key}">{voice.text(found.question)}</h2>'
        f'<p class="answer">{voice.rich(found.answer)}</p>{warning}<dl>{facts}</dl></article>'
    )


def _foot(study: Study, voice: Voice) -> str:
    told = words(
        f"Made with oneteam by the model {study.model}. A probability is a statement about what is not known, not a promise: of "
        "all that gets "
        "80%, one in five should not happen.",
        f"oneteam의 {study.model} 모형으로 작성. 확률은 약속이 아니라 모르는 정도를 나타냅니다. 80%라고 한 일 다섯 가운데 하나는 "
        "일어나지 않아야 맞습니다.",
    )
    return f"<footer><p>{voice.text(told)}</p></footer>"
