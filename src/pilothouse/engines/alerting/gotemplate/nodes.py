"""The parts of a parsed template. `str(node)` is the form that Go prints in its error messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from pilothouse.engines.alerting.rules import quoted


@dataclass(slots=True)
class Node:
    pos: int


@dataclass(slots=True)
class Text(Node):
    text: str

    def __str__(self) -> str:
        return quoted(self.text)


@dataclass(slots=True)
class ListNode(Node):
    nodes: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return "".join(map(str, self.nodes))


@dataclass(slots=True)
class Identifier(Node):
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Variable(Node):
    """`$x.Field`: names are ("$x", "Field")."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.names)


@dataclass(slots=True)
class FieldNode(Node):
    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join("." + n for n in self.names)


@dataclass(slots=True)
class Chain(Node):
    node: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, Pipe) else str(self.node)
        return inner + "".join("." + n for n in self.names)


@dataclass(slots=True)
class Dot(Node):
    def __str__(self) -> str:
        return "."


@dataclass(slots=True)
class Nil(Node):
    def __str__(self) -> str:
        return "nil"


@dataclass(slots=True)
class Constant(Node):
    """A bool, number or string literal. text: as written. value: what it is without further context."""

    text: str
    value: bool | int | float | complex | str
    kind: str
    """bool, number or string."""

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class Command(Node):
    args: list[Node] = field(default_factory=list)

    def __str__(self) -> str:
        return " ".join(f"({a})" if isinstance(a, Pipe) else str(a) for a in self.args)


@dataclass(slots=True)
class Pipe(Node):
    commands: list[Command] = field(default_factory=list)
    declared: list[Variable] = field(default_factory=list)
    assigns: bool = False

    def __str__(self) -> str:
        head = ""
        if self.declared:
            head = ", ".join(map(str, self.declared)) + (" = " if self.assigns else " := ")
        return head + " | ".join(map(str, self.commands))


@dataclass(slots=True)
class Action(Node):
    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(slots=True)
class Branch(Node):
    """if, with or range."""

    word: str
    pipe: Pipe
    body: ListNode
    other: ListNode | None

    def __str__(self) -> str:
        tail = f"{{{{else}}}}{self.other}" if self.other else ""
        return f"{{{{{self.word} {self.pipe}}}}}{self.body}{tail}{{{{end}}}}"


@dataclass(slots=True)
class Jump(Node):
    """break or continue."""

    word: str

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


@dataclass(slots=True)
class Invoke(Node):
    """{{template "name" pipeline}}"""

    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        return f"{{{{template {quoted(self.name)}{f' {self.pipe}' if self.pipe else ''}}}}}"


@dataclass(slots=True)
class Tree:
    """One named template: its own text is `text`, which is the whole file's for templates defined inside it."""

    name: str
    file: str
    text: str
    root: ListNode | None = None
