"""Files that nobody announced, and steps that a crash left undone."""
