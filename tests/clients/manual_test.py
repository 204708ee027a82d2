# SPDX-License-Identifier: EUPL-1.2
"""Compares the commands and options in `staffel --help` with staffel(1), both ways, and has mandoc look at
every manual page. Arguments: staffel, staffeld, the folder of the manual pages."""
import pathlib
import re
import shutil
import subprocess
import sys


def help_of(program, *command):
    return subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True,
                          env={"LANG": "en_GB.UTF-8"}).stdout


def subcommands(text):
    part = text.split("Subcommands:")
    return re.findall(r"^  ([a-z]+)(?:\s|$)", part[1], re.M) if len(part) > 1 else []


def long_options(text):
    return set(re.findall(r"--[a-z][a-z-]*", text)) - {"--help"}


def main():
    staffel, staffeld, folder = sys.argv[1:]
    problems = []
    page = (pathlib.Path(folder) / "staffel.1").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.It Cm ([a-z]+(?: [a-z]+)?)\b", page, re.M))
    actual = {}
    general = long_options(help_of(staffel).split("Subcommands:")[0])
    for command in subcommands(help_of(staffel)):
        text = help_of(staffel, command)
        inner = subcommands(text)
        for one in inner:
            actual[f"{command} {one}"] = help_of(staffel, command, one)
        if not inner:
            actual[command] = text
    for missing in sorted(set(actual) - documented):
        problems.append(f"staffel.1 does not describe: {missing}")
    for extra in sorted(documented - set(actual)):
        problems.append(f"staffel.1 describes what is not there: {extra}")
    sections = re.split(r"^\.It Cm ", page, flags=re.M)[1:]
    for section in sections:
        name = re.match(r"[a-z]+(?: [a-z]+)?", section).group()
        name = name if name in actual else name.split()[0]
        if name not in actual:
            continue
        body = section.split("\n.El")[0]
        described = set("--" + option for option in re.findall(r"Fl -([a-z][a-z-]*)", body))
        wanted = long_options(actual[name]) - general
        for option in sorted(wanted - described):
            problems.append(f"staffel.1: {name}: lacks {option}")
        for option in sorted(described - wanted - general):
            problems.append(f"staffel.1: {name}: has no {option}")
        if ".Dl " not in body:
            problems.append(f"staffel.1: {name}: has no example")
    for option in sorted(general):
        if f"Fl -{option[2:]}" not in page:
            problems.append(f"staffel.1: lacks the general option {option}")
    daemon_page = (pathlib.Path(folder) / "staffeld.8").read_text(encoding="utf-8")
    for option in sorted(long_options(help_of(staffeld))):
        if f"Fl -{option[2:]}" not in daemon_page:
            problems.append(f"staffeld.8: lacks {option}")
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        problems.append("mandoc is not installed")
    else:
        for manual in sorted(pathlib.Path(folder).glob("*.[1-8]")):
            done = subprocess.run([mandoc, "-T", "lint", "-W", "warning", manual], capture_output=True, text=True,
                                  check=False)
            if done.returncode != 0:
                problems.append(done.stdout + done.stderr)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
