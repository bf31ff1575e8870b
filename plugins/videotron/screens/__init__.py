"""What is known of each screen, and what to do about it."""
