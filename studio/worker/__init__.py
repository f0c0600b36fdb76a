"""The other process: reads and writes one run folder, never the store, never the interface."""
