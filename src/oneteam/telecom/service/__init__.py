"""The part's I/O: reads files, calls the pure modules, writes files."""
