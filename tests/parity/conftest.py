"""Lets the golden runner find its comparisons: compare_KIND.py beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
