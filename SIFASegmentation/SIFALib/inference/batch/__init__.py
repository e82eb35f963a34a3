"""Many scans, one after another."""
