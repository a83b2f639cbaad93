"""`python -m earsight`, also for `accelerate launch -m earsight train ...`."""

from earsight.apps.cli import main

main()
