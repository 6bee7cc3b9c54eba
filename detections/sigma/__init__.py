"""Sigma: loading, compiling and matching rules."""
