# SPDX-License-Identifier: EUPL-1.2
"""A small run of the benchmark: it ends, and gives every figure. What is counted and not timed meets its aim.
Argument: staffel_bench."""
import json
import pathlib
import subprocess
import sys
import tempfile

COUNTED = {"nothing_round_trips", "nothing_sent", "nothing_received", "changes_bytes"}


def main():
    with tempfile.TemporaryDirectory(prefix="staffel-bench-") as folder:
        file = pathlib.Path(folder) / "bench.json"
        done = subprocess.run([sys.argv[1], "--records", "1000", "--repeat", "1", "--write-seconds", "0.2",
                               "--directory", folder, "--json", file],
                              capture_output=True, text=True, check=False, timeout=280)
        if done.returncode != 0:
            sys.exit(f"the benchmark ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        figures = {one["name"]: one for one in json.loads(file.read_text(encoding="utf-8"))["figures"]}
        for name, one in figures.items():
            if not one["value"] > 0:
                sys.exit(f"{name} was not measured: {one}")
        for name in COUNTED:
            if not figures[name]["met"]:
                sys.exit(f"{name} misses its aim: {figures[name]}")
        if len(done.stdout.splitlines()) != len(figures) + 2:
            sys.exit(f"the table does not have a line for each figure:\n{done.stdout}")


if __name__ == "__main__":
    main()
