"""What is counted, defined once; the compiled hot path; readable results."""
