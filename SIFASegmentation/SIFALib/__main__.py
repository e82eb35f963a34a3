"""`python -m SIFALib` is the command `sifa`."""

from .cli.main import main

raise SystemExit(main())
