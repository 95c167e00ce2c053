"""Alerts as Common Alerting Protocol 1.2 (OASIS CAP-v1.2, ITU-T X.1303bis) messages."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Alert

NAMESPACE: Final = "urn:oasis:names:tc:emergency:cap:1.2"
_FORBIDDEN: Final = re.compile(r"[\s,<&]")
_LANGUAGES: Final = (("en", "en-US"), ("ko", "ko-KR"))


def cap_time(moment: datetime) -> str:
    """A moment as CAP writes it: to the second, with an offset; UTC is ``-00:00``, never ``Z`` (CAP 1.2, 3.3.2).

    >>> from datetime import UTC
    >>> cap_time(datetime(2020, 3, 1, 9, 0, tzinfo=UTC))
    '2020-03-01T09:00:00-00:00'
    """
    text = moment.replace(microsecond=0).isoformat()
    return text.removesuffix("+00:00") + "-00:00" if text.endswith("+00:00") else text


def cap_xml(alert: Alert) -> bytes:
    """An alert as a CAP 1.2 message: one ``info`` for each language that has a headline, areas by geocode.

    Args:
        alert: what to say.

    Raises:
        UnknownValueError: an identifier or sender with a space, comma, ``<`` or ``&``, or an alert without an area.
    """
    for name, value in (("id", alert.id), ("sender", alert.sender)):
        if not value or _FORBIDDEN.search(value):
            raise UnknownValueError(f"alert {name} {value!r}: must not be empty nor hold spaces, commas, '<' or '&' (CAP 1.2, 3.2.1)")
    if not alert.areas:
        raise UnknownValueError(f"alert {alert.id}: names no area")
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}alert")
    for name, text in (
        ("identifier", alert.id),
        ("sender", alert.sender),
        ("sent", cap_time(alert.sent)),
        ("status", alert.status),
        ("msgType", "Alert"),
        ("scope", "Public"),
    ):
        _add(root, name, text)
    for language, tag in _LANGUAGES:
        if getattr(alert.headline, language):
            _add_info(root, alert, language, tag)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add_info(root: ET.Element, alert: Alert, language: str, tag: str) -> None:
    """Children in the order of the schema's sequence."""
    info = ET.SubElement(root, f"{{{NAMESPACE}}}info")
    for name, text in (
        ("language", tag),
        ("category", alert.category),
        ("event", alert.event),
        ("urgency", alert.urgency),
        ("severity", alert.severity),
        ("certainty", alert.certainty),
        ("effective", cap_time(alert.effective)),
        ("expires", cap_time(alert.expires)),
        ("senderName", alert.sender),
        ("headline", getattr(alert.headline, language)),
        ("description", getattr(alert.description, language) or alert.description.en),
    ):
        _add(info, name, text)
    for entity in alert.areas:
        area = ET.SubElement(info, f"{{{NAMESPACE}}}area")
        _add(area, "areaDesc", getattr(entity.name, language) or entity.name.en)
        code = ET.SubElement(area, f"{{{NAMESPACE}}}geocode")
        _add(code, "valueName", entity.kind)
        _add(code, "value", entity.id.partition(".")[2])


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = text
