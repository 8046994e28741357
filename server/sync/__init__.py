"""Auto-Sync: the cycle that pulls files from where agencies put them, and brings their reports there."""
