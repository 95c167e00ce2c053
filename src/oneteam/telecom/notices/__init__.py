"""Who of the own subscribers was where: matching for the carrier's own messages."""
