"""YAML without its traps: numbers and booleans of YAML 1.2, no code tags, no bombs, no key twice, lines remembered.

The tree is built from parser events, so that limits act before anything is expanded or recursed into.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.reader import Reader

from traiNNer.config.tree import Node, Path, key_of
from traiNNer.config.yaml.errors import explain
from traiNNer.config.yaml.hidden import LINE_BREAKS, Source, Spot, unseen_break
from traiNNer.config.yaml.tags import refused, value_of
from traiNNer.errors import ConfigError, Problem

MAX_BYTES = 1_048_576
MAX_VALUES = 100_000
MAX_DEPTH = 32
MAX_PROBLEMS = 50
MERGE = "<<"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class YamlDocument:
    """A file's values: `tree` plain, `root` with the place of each."""

    root: Node
    source: str

    @property
    def tree(self) -> object:
        """The values alone: dictionaries, lists, texts, numbers, booleans and None."""
        return self.root.plain()

    def line_of(self, path: Path) -> int | None:
        """Return the line of a key or list item, or of the nearest section above it that exists."""
        return self.root.deepest(path).line


@dataclass
class _Part:
    """A finished value with what it costs: values when written out, levels below it."""

    node: Node
    size: int = 1
    height: int = 0


@dataclass
class _Open:
    """A list or section whose end has not come yet."""

    part: _Part
    anchor: str | None
    key: str | None = None
    key_line: int = 0
    is_merge: bool = False
    merged: list[Node] = field(default_factory=list)


def load_yaml(text: str, source: str) -> YamlDocument:
    """Read one YAML document. Raises `ConfigError` naming the lines of what is wrong; `source` is shown before them."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ConfigError(f"{source} is larger than 1 MB: that is not an option file.")
    text = text.removeprefix("\ufeff")
    written = Source(text)
    builder = _Builder(source, written)
    if (strange := Reader.NON_PRINTABLE.search(text)) is not None:
        *above, last = LINE_BREAKS.split(text[: strange.start()])
        shown = f"U+{ord(strange.group()):04X} in column {len(last) + 1}"
        builder.stop(len(above) + 1, f"character {shown} is not allowed in a text file.")
    if (found := unseen_break(text)) is not None:
        builder.stop(found.line, found.message)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.YAMLError as error:
        builder.stop(*explain(error, written))
    if builder.problems:
        raise ConfigError(source, builder.problems)
    return YamlDocument(builder.root.renamed(""), source)


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=Loader)


class _Builder:
    """Builds nodes from events with an explicit stack: depth and size are limits, not crashes."""

    def __init__(self, source: str, written: Source) -> None:
        self.source = source
        self.written = written
        self.problems: list[Problem] = []
        self.root = Node(None)
        self.open: list[_Open] = []
        self.anchors: dict[str, _Part | None] = {}
        self.values = 0
        self.documents = 0

    def stop(self, line: int | None, message: str) -> None:
        """Raise for something after which the rest of the file cannot be understood."""
        told = any((before.line, before.message) == (line, message) for before in self.problems)
        last = [] if told else [Problem(self._key(), message, line)]
        raise ConfigError(self.source, [*self.problems, *last])

    def take(self, event: yaml.Event) -> None:
        """Use one event of the parser."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.NodeEvent):
            tag = getattr(event, "tag", None)
            if tag is not None and (message := refused(tag, isinstance(event, yaml.ScalarEvent))):
                self._complain(line, message)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event, line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._end()
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.stop(line, "a second document starts here ('---'); an option file is one document.")

    def _key(self) -> str:
        path: list[str | int] = []
        for level in self.open:
            in_list = isinstance(level.part.node.value, list)
            path.append(len(level.part.node.value) if in_list else level.key or "")
        return key_of(tuple(part for part in path if part != ""))

    def _complain(self, line: int, message: str) -> None:
        self.problems.append(Problem(self._key(), message, line))
        if len(self.problems) >= MAX_PROBLEMS:
            self.stop(line, "and more: reading ends here.")

    def _wants_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].part.node.value, dict) and self.open[-1].key is None

    def _count(self, size: int, line: int) -> None:
        self.values += size
        if self.values > MAX_VALUES:
            self.stop(line, f"The config expands to more than {MAX_VALUES:,} values (line {line}).")

    def _begin(self, event: yaml.CollectionStartEvent, line: int) -> None:
        if self._wants_key():
            self.stop(line, "a key must be text, not a list or section.")
        if len(self.open) >= MAX_DEPTH:
            self.stop(line, f"is nested deeper than {MAX_DEPTH} levels.")
        self._count(1, line)
        if event.anchor:
            self.anchors[event.anchor] = None
        empty: dict | list = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.open.append(_Open(_Part(Node(empty, line)), event.anchor))

    def _end(self) -> None:
        level = self.open.pop()
        entries = level.part.node.value
        for section in level.merged:
            for key, child in section.value.items():
                entries.setdefault(key, child)
        self._finish(level.part, level.anchor)

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if self._wants_key():
            self._take_key(event, line)
            return
        self._count(1, line)
        value: object = event.value
        if (found := self._strange(event)) is not None:
            self._complain(found.line, found.message)
        else:
            try:
                value = value_of(event.tag, event.value, event.implicit[0])
            except ValueError as error:
                self._complain(line, f"{event.value[:40]} {error}")
        self._finish(_Part(Node(value, line, text=event.value)), event.anchor)

    def _strange(self, event: yaml.ScalarEvent) -> Spot | None:
        """Return a character of a key or value that is not what it looks like."""
        ends = [(mark.line, mark.column) for mark in (event.start_mark, event.end_mark)]
        if event.style in ("'", '"'):
            return self.written.quoted(ends[0], ends[1], event.style == '"')
        return None if event.style in ("|", ">") else self.written.plain(ends[0], ends[1])

    def _take_key(self, event: yaml.ScalarEvent, line: int) -> None:
        level, key = self.open[-1], event.value
        try:
            is_text = isinstance(value_of(event.tag, event.value, event.implicit[0]), str)
        except ValueError:
            is_text = False
        if (found := self._strange(event)) is not None:
            self._complain(found.line, found.message)
        elif not is_text:
            self._complain(line, f'a key must be text: write "{key[:40]}" in quotes.')
        before = level.part.node.value.get(key)
        level.key, level.key_line = key, line
        level.is_merge = key == MERGE and event.implicit[0]  # in quotes it is a key like any other
        if before is not None:
            self._complain(line, f"written twice (lines {before.line} and {line}); keep one.")
        self._anchor(event.anchor, _Part(Node(key, line)))

    def _alias(self, name: str, line: int) -> None:
        part = self.anchors.get(name)
        if part is None:
            self.stop(line, f"*{name} refers to itself." if name in self.anchors else f"*{name}: no &{name} above.")
        elif self._wants_key():
            self.stop(line, "a key must be text, not an alias.")
        else:
            self._count(part.size, line)
            if len(self.open) + part.height > MAX_DEPTH:
                self.stop(line, f"is nested deeper than {MAX_DEPTH} levels.")
            self._finish(_Part(Node(part.node.value, line, text=part.node.text), part.size, part.height), None)

    def _anchor(self, anchor: str | None, part: _Part) -> None:
        if anchor:
            self.anchors[anchor] = part

    def _finish(self, part: _Part, anchor: str | None) -> None:
        """Put a finished value where it belongs: below its key, into its list, or at the root."""
        self._anchor(anchor, part)
        if not self.open:
            self.root = part.node
            return
        level = self.open[-1]
        level.part.size += part.size
        level.part.height = max(level.part.height, part.height + 1)
        if isinstance(level.part.node.value, list):
            level.part.node.value.append(part.node)
            return
        assert level.key is not None
        if level.is_merge:
            self._merge(level, part.node)
        else:
            level.part.node.value[level.key] = Node(part.node.value, level.key_line, text=part.node.text)
        level.key = None

    def _merge(self, level: _Open, node: Node) -> None:
        sections = node.value if isinstance(node.value, list) else [node]
        if all(isinstance(section.value, dict) for section in sections):
            level.merged += sections
        else:
            self._complain(level.key_line, "'<<' needs a section, or a list of sections.")
