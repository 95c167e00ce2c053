"""Which zone a cell serves, and zones in other editions."""
