"""``wardwatch rules …`` and ``wardwatch detect``, a module a command."""
