"""Measurements of Earsight beside named comparators, each a script with a `main()` that prints its table."""
