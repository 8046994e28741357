"""Scheduled exports: what was written to an agency's records since the last time, as a file in its /exports."""
