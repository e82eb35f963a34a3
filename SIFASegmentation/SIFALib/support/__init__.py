"""What neither images nor torch is needed for: errors, messages, progress, files, locks, processes, schemas."""
