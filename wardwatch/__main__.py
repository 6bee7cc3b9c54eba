"""``python -m wardwatch``."""

from wardwatch.cli import main

main()
