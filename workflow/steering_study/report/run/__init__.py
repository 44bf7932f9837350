"""The page on the run: jobs, times, files and setting."""
