"""Runs over a project: their graph of jobs, their progress, and when one begins by itself."""
