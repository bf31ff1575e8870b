"""Orders above the schedule: emergency, blackout, and their end."""
