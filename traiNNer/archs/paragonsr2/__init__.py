"""ParagonSR2: the network, its parts, its released form, and its weights files."""
