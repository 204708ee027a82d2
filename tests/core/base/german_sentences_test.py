# SPDX-License-Identifier: EUPL-1.2
"""Reads the sources for sentences that a person can be refused with and names those that have no German in
core/base/german_sentences.cc. Argument: the source folder."""
import pathlib
import re
import sys

TEXT = r'"(?:[^"\\]|\\.)*"'
TEXTS = r'((?:' + TEXT + r'\s*)+)'
FORMS = [
    # Fail(ErrorCode::kInvalid, "…"), also with a choice of codes.
    re.compile(r'\bFail\(\s*[^;"]*?(?:ErrorCode::k\w+|\.code),\s*' + TEXTS, re.S),
    # Error{ErrorCode::kInvalid, "…"} and {ErrorCode::kInvalid, fmt::format("…")}.
    re.compile(r'\{\s*ErrorCode::k\w+,\s*(?:fmt::format\(\s*)?' + TEXTS, re.S),
    # Refuse(value, path, "…") and refuse(code, "…") of the input's readers.
    re.compile(r'\b[rR]efuse\(\s*[\w.*:()]+(?:,\s*[^";]*?)?,\s*(?:fmt::format\(\s*)?' + TEXTS, re.S),
]
FOLDERS = ("core", "sync", "api", "clients/cpp", "clients/cli")
# What is no sentence of its own: parts put together elsewhere, and what only a bug can show.
LEFT_OUT = {"{}", "{} is not {}", "{} {}: {}", "{}: {}", "{}:{}:{}: {}", "no id"}


def plain(texts):
    """What adjacent literals hold."""
    text = "".join(one[1:-1] for one in re.findall(TEXT, texts))
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def joined(texts):
    """The template that adjacent literals make, with {} for each value."""
    text = plain(texts)
    text = text.replace("{{", "\x01").replace("}}", "\x02")
    return re.sub(r"\{[^{}]*\}", "{}", text).replace("\x01", "{").replace("\x02", "}")


def catalogue(root):
    source = (root / "core/base/german_sentences.cc").read_text(encoding="utf-8")
    return {plain(match.group(1)) for match in re.finditer(r"\{(" + TEXT + r"),\s*" + TEXT + r"\}", source)}


def sentences(root, known):
    """Each template with the first file it stands in."""
    found = {}
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".cc", ".h") or "example" in file.parts:
                continue
            source = re.sub(r"^\s*//.*$", "", file.read_text(encoding="utf-8"), flags=re.M)
            for form in FORMS:
                for match in form.finditer(source):
                    # Not every sentence is a template: some hold braces of their own.
                    text = plain(match.group(1))
                    if text not in known:
                        text = joined(match.group(1))
                    found.setdefault(text, file.relative_to(root))
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    known = catalogue(root)
    found = sentences(root, known)
    if len(found) < 200:
        sys.exit(f"only {len(found)} sentences were found in the sources: does this test still read them?")
    missing = {text: file for text, file in found.items() if text not in known | LEFT_OUT and re.search("[a-z]", text)}
    for text, file in sorted(missing.items()):
        print(f"{file}: no German for: {text}")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
