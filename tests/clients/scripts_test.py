# SPDX-License-Identifier: EUPL-1.2
"""Asks scripts for help, in a folder where nothing has been built and nothing can be: they answer at once.
Argument: the source folder."""
import pathlib
import shutil
import subprocess
import sys
import tempfile


def main():
    source = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="staffel-scripts-") as folder:
        scripts = pathlib.Path(folder) / "scripts"
        scripts.mkdir()
        for name in ("sim", "bench", "junit-totals"):
            shutil.copy(source / "scripts" / name, scripts / name)
            for option in ("--help", "-h"):
                done = subprocess.run([scripts / name, option], capture_output=True, text=True, check=False, timeout=60)
                if done.returncode != 0 or "usage: " not in done.stdout or done.stderr:
                    sys.exit(f"scripts/{name} {option}: {done}")
        if sorted(one.name for one in pathlib.Path(folder).iterdir()) != ["scripts"]:
            sys.exit("a script that was asked for help has made something")


if __name__ == "__main__":
    main()
