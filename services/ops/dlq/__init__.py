"""Dead letters and quarantine as an operator sees them: look, check, replay, purge."""
