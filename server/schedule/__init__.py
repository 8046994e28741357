"""When something is due: slots in local time, each claimed once over all nodes."""
