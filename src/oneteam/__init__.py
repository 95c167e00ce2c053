"""oneteam: organisations act as one team on data that none of them gives away."""

__version__ = "0.1.0"
