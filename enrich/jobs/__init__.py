"""Jobs of the scheduler: each a callable in a module of its own, safe to run again at any time."""
