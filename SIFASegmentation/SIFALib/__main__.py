"""`python -m SIFALib` is the command `sifa`."""

from .cli import main

raise SystemExit(main())
