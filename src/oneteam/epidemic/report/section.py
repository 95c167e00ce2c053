"""What all sections have in common."""

from __future__ import annotations

import html

from oneteam.core.model import Text
from oneteam.epidemic.report.voice import Voice, words


def section(voice: Voice, key: str, heading: Text, lead: Text, body: str) -> str:
    """A section with its heading and one paragraph of what it says."""
    return (
        f'<section id="{key}" aria-labelledby="{key}-h"><h2 id="{key}-h">{voice.text(heading)}</h2>'
        f'<p class="lead">{voice.rich(lead)}</p>{body}</section>'
    )


def absent(voice: Voice, key: str, heading: Text, why: Text) -> str:
    """A section that says why it is empty."""
    return section(voice, key, heading, words(html.escape(why.en), html.escape(why.ko)), "")
