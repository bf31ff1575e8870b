"""Intake: from a file in the watched folder to a verdict of the desk, and away from there. Start with `service.py`."""
