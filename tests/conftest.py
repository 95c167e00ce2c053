"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# The first call of a compiled function compiles it, which no deadline for single examples survives.
settings.register_profile("oneteam", deadline=None)
settings.load_profile("oneteam")
