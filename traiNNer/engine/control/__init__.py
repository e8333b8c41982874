"""Training automations in their run: events, knobs, the host, decisions, rollback."""
