"""How fast: measured alone, after all else, native and TaskBridge interleaved in one run."""
