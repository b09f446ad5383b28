"""The files of the project as the style rules see them.

Owns the walk over the tree, C text without comments and strings, and where functions begin and end. Not a C parser: it
relies on clang-format having been run, and knows no types.
"""
import functools
import os
import re

LAYERS = ("rtcp", "membership", "replication")
FOLDERS = LAYERS + ("examples", "tests")
OTHER = ("cmake", ".ci")
# The installed headers of a layer beside those of base; the first one is its manual.
PUBLIC = {"rtcp": ("rtcp.h", "admin.h", "blocking.h"), "membership": ("membership.h",),
          "replication": ("replication.h",)}
SKIPPED = {"__pycache__", "corpus", "build"}


def blank(match):
    """Spaces instead of a match; line ends stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", match.group())


class Source:
    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.folder, _, rest = path.partition("/")
        self.layer = self.folder if self.folder in LAYERS else None
        self.is_base = path.startswith("rtcp/base/")
        self.is_c = path.endswith((".c", ".h"))
        name = path.rsplit("/", 1)[-1]
        self.stem = name.rsplit(".", 1)[0]
        self.is_public = rest in PUBLIC.get(self.folder, ())
        self.is_pure = (self.layer is not None and self.is_c and not self.stem.endswith(("_loop", "_disk"))
                        and not self.stem.startswith("blocking") and not rest.startswith(("tools/", "preload/")))

    @functools.cached_property
    def lines(self):
        return self.text.split("\n")

    @functools.cached_property
    def code(self):
        """C text with comments, strings and character constants blanked."""
        pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
        return re.sub(pattern, blank, self.text, flags=re.S)

    @functools.cached_property
    def bare(self):
        """code without preprocessor lines."""
        return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, self.code, flags=re.M)

    @functools.cached_property
    def includes(self):
        """[(line, name, quoted)]"""
        found = []
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                found.append((number, match.group(2), match.group(1) == '"'))
        return found

    @functools.cached_property
    def functions(self):
        """[(name, first line, last line)] of the functions defined here."""
        found = []
        depth = 0
        start = name = None
        for match in re.finditer(r"[{}]", self.bare):
            if match.group() == "{":
                if depth == 0:
                    head = re.split(r"[;}]", self.bare[:match.start()])[-1]
                    call = re.search(r"(\w+)\s*\(", head)
                    start = None
                    if call and head.rstrip().endswith(")") and "=" not in head:
                        name = call.group(1)
                        first = match.start() - len(head) + len(head) - len(head.lstrip())
                        start = self.bare.count("\n", 0, first) + 1
                depth += 1
            else:
                depth -= 1
                if depth == 0 and start is not None:
                    found.append((name, start, self.bare.count("\n", 0, match.start()) + 1))
        return found

    def matches(self, pattern, text=None):
        """[(line, match)] in code, or in the text given."""
        text = self.code if text is None else text
        return [(text.count("\n", 0, m.start()) + 1, m) for m in re.finditer(pattern, text, flags=re.M)]


def tree(root):
    """{path: Source} of everything that people write here."""
    found = {}
    for folder in FOLDERS + OTHER:
        for place, folders, names in os.walk(os.path.join(root, folder)):
            folders[:] = [f for f in folders if f not in SKIPPED]
            for name in names:
                path = os.path.relpath(os.path.join(place, name), root)
                try:
                    with open(os.path.join(root, path), encoding="utf-8") as file:
                        found[path] = Source(path, file.read())
                except UnicodeDecodeError:
                    pass  # not a text: nothing to read for us
    for name in os.listdir(root):
        path = os.path.join(root, name)
        if os.path.isfile(path) and name.endswith((".md", ".txt", ".json")):
            with open(path, encoding="utf-8") as file:
                found[name] = Source(name, file.read())
    return found
