"""Results as maps and charts."""
