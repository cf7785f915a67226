"""`make bench`: what the project promises of its speed, measured and held against its targets."""
