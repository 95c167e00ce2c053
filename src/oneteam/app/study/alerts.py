"""CAP alerts of the study: for places of level 3 and 4, each with its cause."""

from __future__ import annotations

from typing import Any, Final

from oneteam.app.study.analysis import rt_settings
from oneteam.app.study.contexts import Chain
from oneteam.app.study.folder import StudyFolder, read_json
from oneteam.app.study.inputs import Sources
from oneteam.app.study.settings import StudyFile
from oneteam.core.cap import cap_xml
from oneteam.core.errors import UnknownValueError
from oneteam.core.model import Alert, Context
from oneteam.core.progress import Progress
from oneteam.epidemic.service.rt import alerts_of, situation
from oneteam.store.tables import write_atomically

ALERTS: Final = "alerts"
ALERTS_FILE: Final = "alerts.json"


def raise_alerts(
    study: StudyFile, sources: Sources, folder: StudyFolder, chain: Chain, cause: Context, progress: Progress
) -> dict[str, Any]:
    """Write ``alerts/alerts.json`` and one CAP message for each alert."""
    found = situation(sources.known(study.cases.file), rt_settings(study, sources), progress)
    raised = []
    for alert in alerts_of(found):
        context = chain.link(f"alert/{alert.id}", alert.headline.en, cause.id)
        raised.append(alert.model_copy(update={"context": context}))
    for alert in raised:
        try:
            content = cap_xml(alert)
        except UnknownValueError as err:
            raise UnknownValueError(f"alert {alert.id}: {err.message}", hint=err.hint) from err
        write_atomically(folder.path(ALERTS, f"{alert.id}.xml"), content)
    folder.write_json(folder.path(ALERTS, ALERTS_FILE), [alert.model_dump(mode="json") for alert in raised])
    return {"alerts": len(raised)}


def read_alerts(folder: StudyFolder) -> list[Alert]:
    """The alerts of a study; none where it raised none."""
    path = folder.path(ALERTS, ALERTS_FILE)
    return [Alert.model_validate(raw) for raw in read_json(path)] if path.is_file() else []
