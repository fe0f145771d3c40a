"""Runs a parsed template over data (text/template/exec.go, Go 1.23), with `missingkey=zero` unless told otherwise.

Pure: what it reads from outside comes through the functions it is given. Errors name the place as Go does:
`template: NAME:LINE:COLUMN: executing "NAME" at <NODE>: …`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pilothouse.engines.alerting.gotemplate.errors import CallError, ExecutionError
from pilothouse.engines.alerting.gotemplate.formatting import plain
from pilothouse.engines.alerting.gotemplate.nodes import (
    Action,
    Branch,
    Chain,
    Command,
    Constant,
    Dot,
    FieldNode,
    Identifier,
    Invoke,
    Jump,
    ListNode,
    Nil,
    Node,
    Pipe,
    Text,
    Tree,
    Variable,
)  # fmt: skip
from pilothouse.engines.alerting.gotemplate.values import (
    HTML,
    Function,
    GoMap,
    GoSlice,
    GoStruct,
    is_true,
    type_name,
)  # fmt: skip
from pilothouse.engines.alerting.rules import quoted

MAX_DEPTH = 100
"""Templates calling templates. Go allows 100,000; its stack grows, ours does not."""

MAX_OUTPUT = 4 * 1024 * 1024
"""Characters one template may write; a text beyond it is a mistake or an attack."""

MAX_STEPS = 1_000_000
"""Nodes one execution may visit: `range` over a huge number must end."""

_NOTHING = object()
"""No value came from the pipeline before (an explicit nil is None)."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def execute(
    trees: Mapping[str, Tree],
    name: str,
    data: Any,
    functions: Mapping[str, Function],
    variables: Mapping[str, Any] | None = None,
) -> str:
    """The text that the template called `name` gives for `data`; ExecutionError when it fails.

    variables: values of the variables that were declared to the parser beforehand, by name with `$`.
    """
    tree = trees[name]
    state = _State(trees, functions, tree, [("$", data), *(variables or {}).items()])
    if tree.root is None:
        raise ExecutionError(f"template: {name}: {quoted(name)} is an incomplete or empty template")
    state.walk(data, tree.root)
    return "".join(state.out)


class _State:
    def __init__(
        self,
        trees: Mapping[str, Tree],
        functions: Mapping[str, Function],
        tree: Tree,
        variables: list[tuple[str, Any]],
    ) -> None:
        self.trees = trees
        self.functions = functions
        self.tree = tree
        self.variables = variables
        self.out: list[str] = []
        self.size = 0
        self.steps = 0
        self.depth = 0

    def fail(self, node: Node, message: str) -> ExecutionError:
        before = self.tree.text[: node.pos]
        line = 1 + before.count("\n")
        column = len(before[before.rfind("\n") + 1 :].encode(errors="surrogateescape"))
        return ExecutionError(
            f"template: {self.tree.file}:{line}:{column}: executing {quoted(self.tree.name)} at <{node}>: {message}"
        )

    def write(self, node: Node, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_OUTPUT:
            raise self.fail(node, f"output is longer than {MAX_OUTPUT} characters")
        self.out.append(text)

    # Walking

    def walk(self, dot: Any, node: Node) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise self.fail(node, f"more than {MAX_STEPS} steps")
        match node:
            case Text():
                self.write(node, node.text)
            case ListNode():
                for child in node.nodes:
                    self.walk(dot, child)
            case Action():
                value = self.pipeline(dot, node.pipe)
                if not node.pipe.declared:
                    self.write(node, self.printable(node, value))
            case Branch(word="range"):
                self.walk_range(dot, node)
            case Branch():
                self.walk_if_or_with(dot, node)
            case Invoke():
                self.invoke(dot, node)
            case Jump():
                raise _Break if node.word == "break" else _Continue

    def printable(self, node: Node, value: Any) -> str:
        if value is None:
            return "<no value>"
        if isinstance(value, Function):
            raise self.fail(node, f"can't print {node} of type func")
        if isinstance(value, GoStruct):
            return plain(value, depth=1)
        return plain(value)

    def walk_if_or_with(self, dot: Any, node: Branch) -> None:
        mark = len(self.variables)
        value = self.pipeline(dot, node.pipe)
        if is_true(value):
            self.walk(value if node.word == "with" else dot, node.body)
        elif node.other is not None:
            self.walk(dot, node.other)
        del self.variables[mark:]

    def walk_range(self, dot: Any, node: Branch) -> None:
        mark = len(self.variables)
        value = self.pipeline(dot, node.pipe)
        inner = len(self.variables)
        ran = False
        declared = node.pipe.declared
        try:
            for key, item in self.items(node, value):
                ran = True
                if len(declared) > 1:
                    self.bind(node, inner - 2, declared[0], key)
                if declared:
                    self.bind(node, inner - 1, declared[-1], item)
                with suppress(_Continue):
                    self.walk(item, node.body)
                del self.variables[inner:]
        except _Break:
            pass
        if not ran and node.other is not None:
            self.walk(dot, node.other)
        del self.variables[mark:]

    def bind(self, node: Branch, slot: int, variable: Variable, value: Any) -> None:
        """`:=` fills the slot made for the loop, `=` the variable outside."""
        name = variable.names[0]
        if node.pipe.assigns:
            self.assign(variable, value)
        else:
            self.variables[slot] = (name, value)

    def items(self, node: Branch, value: Any) -> Iterator[tuple[Any, Any]]:
        if isinstance(value, GoMap):
            return ((key, value[key]) for key in sorted(value))
        if isinstance(value, GoSlice):
            return iter(list(enumerate(value)))
        if isinstance(value, int) and not isinstance(value, bool):
            if len(node.pipe.declared) > 1:
                raise self.fail(node, f"can't use {plain(value)} to iterate over more than one variable")
            return ((i, i) for i in range(value))
        if value is None:
            return iter(())
        raise self.fail(node, f"range can't iterate over {plain(value)}")

    def invoke(self, dot: Any, node: Invoke) -> None:
        tree = self.trees.get(node.name)
        if tree is None or tree.root is None:
            raise self.fail(node, f"template {quoted(node.name)} not defined")
        if self.depth == MAX_DEPTH:
            raise self.fail(node, f"exceeded maximum template depth ({MAX_DEPTH})")
        value = self.pipeline(dot, node.pipe) if node.pipe is not None else None
        saved = self.tree, self.variables
        self.tree, self.variables = tree, [("$", value)]
        self.depth += 1
        self.walk(value, tree.root)
        self.depth -= 1
        self.tree, self.variables = saved

    # Variables

    def assign(self, variable: Variable, value: Any) -> None:
        name = variable.names[0]
        for at in range(len(self.variables) - 1, -1, -1):
            if self.variables[at][0] == name:
                self.variables[at] = (name, value)
                return
        raise self.fail(variable, f"undefined variable: {name}")

    def variable(self, node: Node, name: str) -> Any:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise self.fail(node, f"undefined variable: {name}")

    # Pipelines

    def pipeline(self, dot: Any, pipe: Pipe) -> Any:
        value: Any = _NOTHING
        for command in pipe.commands:
            value = self.command(dot, command, value)
        for variable in pipe.declared:
            if pipe.assigns:
                self.assign(variable, value)
            else:
                self.variables.append((variable.names[0], value))
        return value

    def command(self, dot: Any, command: Command, final: Any) -> Any:
        first, args = command.args[0], command.args[1:]
        match first:
            case FieldNode():
                return self.field_chain(dot, dot, first, first.names, args, final)
            case Chain():
                return self.chain(dot, first, args, final)
            case Identifier():
                return self.function(dot, first, command, args, final)
            case Variable():
                return self.variable_chain(dot, first, args, final)
        if args or final is not _NOTHING:
            raise self.fail(first, f"can't give argument to non-function {first}")
        match first:
            case Pipe():
                return self.pipeline(dot, first)
            case Dot():
                return dot
            case Nil():
                raise self.fail(first, "nil is not a command")
            case Constant():
                return self.constant(first)
        raise self.fail(first, f"can't evaluate command {quoted(str(first))}")

    def constant(self, node: Constant) -> Any:
        value = node.value
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            raise self.fail(node, f"{node.text} overflows int")
        return value

    def variable_chain(self, dot: Any, node: Variable, args: list[Node], final: Any) -> Any:
        value = self.variable(node, node.names[0])
        if len(node.names) == 1:
            if args or final is not _NOTHING:
                raise self.fail(node, f"can't give argument to non-function {node}")
            return value
        return self.field_chain(dot, value, node, node.names[1:], args, final)

    def chain(self, dot: Any, node: Chain, args: list[Node], final: Any) -> Any:
        if isinstance(node.node, Nil):
            raise self.fail(node, f"indirection through explicit nil in {node}")
        value = self.argument(dot, node.node, "any")
        return self.field_chain(dot, value, node, node.names, args, final)

    def field_chain(
        self, dot: Any, receiver: Any, node: Node, names: tuple[str, ...], args: list[Node], final: Any
    ) -> Any:
        for name in names[:-1]:
            receiver = self.field(dot, receiver, node, name, [], _NOTHING)
        return self.field(dot, receiver, node, names[-1], args, final)

    def field(self, dot: Any, receiver: Any, node: Node, name: str, args: list[Node], final: Any) -> Any:
        if receiver is None:
            return None
        has_args = bool(args) or final is not _NOTHING
        methods = getattr(receiver, "methods", {})
        if name in methods:
            return self.method(dot, node, name, methods[name], args, final)
        if isinstance(receiver, GoStruct):
            if name in receiver.fields:
                if has_args:
                    raise self.fail(node, f"{name} has arguments but cannot be invoked as function")
                return receiver.fields[name]
        elif isinstance(receiver, GoMap):
            if has_args:
                raise self.fail(node, f"{name} is not a method but has arguments")
            return receiver[name] if name in receiver else receiver.zero()
        elif hasattr(receiver, "method"):
            if name == "Format" and hasattr(receiver, "format"):
                return self.method(dot, node, name, receiver.format, args, final)
            result = receiver.method(name)
            if result is not None:
                if has_args:
                    raise self.fail(node, f"wrong number of args for {name}: want 0 got {len(args)}")
                return result
        raise self.fail(node, f"can't evaluate field {name} in type {type_name(receiver)}")

    def method(self, dot: Any, node: Node, name: str, method: Any, args: list[Node], final: Any) -> Any:
        values = [self.argument(dot, arg, "any") for arg in args]
        if final is not _NOTHING:
            values.append(final)
        try:
            return method(*values)
        except CallError as error:
            raise self.fail(node, f"error calling {name}: {error}") from None
        except TypeError:
            raise self.fail(node, f"wrong number of args for {name}: got {len(values)}") from None

    # Calls

    def function(self, dot: Any, node: Identifier, command: Node, args: list[Node], final: Any) -> Any:
        function = self.functions.get(node.name)
        if function is None:
            raise self.fail(node, f"{quoted(node.name)} is not a defined function")
        count = len(args) + (final is not _NOTHING)
        fixed = len(function.parameters)
        if function.variadic is not None and count < fixed:
            raise self.fail(node, f"wrong number of args for {node.name}: want at least {fixed} got {len(args)}")
        if function.variadic is None and count != fixed:
            raise self.fail(node, f"wrong number of args for {node.name}: want {fixed} got {count}")
        if node.name in ("and", "or"):
            return self.shortcut(dot, node, args, final)
        values = [self.argument(dot, arg, _parameter(function, i)) for i, arg in enumerate(args)]
        if final is not _NOTHING:
            values.append(self.fit(node, final, _parameter(function, len(args))))
        try:
            return function.call(*values)
        except CallError as error:
            raise self.fail(command, f"error calling {node.name}: {error}") from None

    def shortcut(self, dot: Any, node: Identifier, args: list[Node], final: Any) -> Any:
        value: Any = None
        for arg in args:
            value = self.argument(dot, arg, "any")
            if is_true(value) == (node.name == "or"):
                return value
        return value if final is _NOTHING else final

    def argument(self, dot: Any, node: Node, wanted: str) -> Any:
        match node:
            case Dot():
                return self.fit(node, dot, wanted)
            case Nil():
                if wanted in ("any", "*template.sample", "template.queryResult"):
                    return None
                raise self.fail(node, f"cannot assign nil to {wanted}")
            case FieldNode():
                return self.fit(node, self.field_chain(dot, dot, node, node.names, [], _NOTHING), wanted)
            case Variable():
                return self.fit(node, self.variable_chain(dot, node, [], _NOTHING), wanted)
            case Pipe():
                return self.fit(node, self.pipeline(dot, node), wanted)
            case Identifier():
                return self.fit(node, self.function(dot, node, node, [], _NOTHING), wanted)
            case Chain():
                return self.fit(node, self.chain(dot, node, [], _NOTHING), wanted)
            case Constant():
                return self.literal(node, wanted)
        raise self.fail(node, f"can't handle {node} for arg of type {wanted}")

    def literal(self, node: Constant, wanted: str) -> Any:
        value = node.value
        if wanted == "any":
            return self.constant(node)
        if wanted == "string":
            if node.kind != "string":
                raise self.fail(node, f"expected string; found {node}")
            return value
        if wanted == "float64" and isinstance(value, int | float) and node.kind == "number":
            return float(value)
        if wanted == "int" and isinstance(value, int) and node.kind == "number":
            return value
        if wanted == "bool" and node.kind == "bool":
            return value
        names = {"float64": "float", "int": "integer", "bool": "bool"}
        if wanted in names:
            raise self.fail(node, f"expected {names[wanted]}; found {node}")
        raise self.fail(node, f"can't handle {node} for arg of type {wanted}")

    def fit(self, node: Node, value: Any, wanted: str) -> Any:
        """The value if Go would let it pass for the wanted type."""
        if wanted == "any":
            return value
        if value is None:
            if wanted in ("*template.sample", "template.queryResult"):
                return None
            raise self.fail(node, f"invalid value; expected {wanted}")
        got = type_name(value)
        if got == wanted:
            return value
        if isinstance(value, GoStruct) and not value.pointer and wanted == f"*{got}":
            return value
        if isinstance(value, HTML) or got != wanted:
            raise self.fail(node, f"wrong type for value; expected {wanted}; got {got}")
        return value


def _parameter(function: Function, index: int) -> str:
    if index < len(function.parameters):
        return function.parameters[index]
    return function.variadic or "any"
