"""From a carrier's files to clean, ordered events."""
