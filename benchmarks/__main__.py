"""Runs every script in this folder: `python -m benchmarks`, or `python -m benchmarks startup decode` for some.

Each runs in a process of its own, so that one's memory and threads do not show in another's figures.
"""

import platform
import subprocess
import sys
from importlib.metadata import version
from os import cpu_count
from pathlib import Path

HERE = Path(__file__).parent


def scripts() -> list[str]:
    """Names of the scripts here that have a `main()`."""
    return sorted(file.stem for file in HERE.glob("*.py") if file.stem[0] != "_" and "def main(" in file.read_text())


def main() -> None:
    """Run what was named, or everything; exit status 1 if a script failed."""
    wanted = sys.argv[1:] or scripts()
    if unknown := sorted(set(wanted) - set(scripts())):
        sys.exit(f"no benchmark {', '.join(unknown)}; there are: {', '.join(scripts())}")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "av"))
    machine = f"{platform.system()} {platform.machine()}, {cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}, {libraries}")
    failed = []
    for name in wanted:
        print(f"\n== {name} ==", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=HERE.parent, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"\nfailed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
