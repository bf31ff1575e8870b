"""The hub's keys: made, kept, rotated by a ceremony, looked at."""
