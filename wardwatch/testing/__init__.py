"""Real servers and browsers for tests and benchmarks."""
