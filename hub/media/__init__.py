"""All that knows ffmpeg and poppler: what a file is, what has to be made of it, and making it safely."""
