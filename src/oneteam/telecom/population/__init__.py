"""From subscribers to persons."""
