"""Builds trees from tokens, with Go's checks and error texts (text/template/parse/parse.go, Go 1.23).

One call parses one text; templates that it defines come out beside it.
"""

from __future__ import annotations

from collections.abc import Container

from pilothouse.engines.alerting.gotemplate.errors import TemplateError
from pilothouse.engines.alerting.gotemplate.lexer import Token, tokens_of
from pilothouse.engines.alerting.gotemplate.literals import number, unquote
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
from pilothouse.engines.alerting.rules import quoted

_OPERANDS = frozenset(
    ("bool", "char", "complex", "dot", "field", "identifier", "number", "raw", "string", "variable", "lparen")
)
_MAX_DEPTH = 60
"""Nested control structures and parentheses: deeper text is hostile, and Python's stack is finite."""
_MAX_LINKS = 100
"""`{{else if}}` after `{{else if}}`: each lies inside the one before."""


def parse(name: str, text: str, functions: Container[str], variables: tuple[str, ...] = ("$",)) -> dict[str, Tree]:
    """All templates of a text by name, the whole text under `name`; TemplateError as Go words it.

    variables: those declared before the text begins (`$` always is).
    """
    parser = _Parser(name, text, functions, variables)
    parser.whole()
    return parser.trees


class _Parser:
    def __init__(self, name: str, text: str, functions: Container[str], variables: tuple[str, ...]) -> None:
        self.name = name
        self.text = text
        self.functions = functions
        self.tokens = tokens_of(text)
        self.at = 0
        self.variables = list(variables)
        self.trees: dict[str, Tree] = {}
        self.range_depth = 0
        self.depth = 0
        self.links = 0

    # Tokens

    def peek(self) -> Token:
        return self.tokens[min(self.at, len(self.tokens) - 1)]

    def next(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def next_non_space(self) -> Token:
        token = self.peek_non_space()
        self.at += 1
        return token

    def peek_non_space(self) -> Token:
        while self.peek().kind == "space":
            self.at += 1
        return self.peek()

    def expect(self, kind: str, context: str) -> Token:
        token = self.next_non_space()
        if token.kind != kind:
            self.unexpected(token, context)
        return token

    def fail(self, message: str, line: int | None = None) -> TemplateError:
        if line is None:
            line = self.tokens[max(0, min(self.at, len(self.tokens)) - 1)].line
        return TemplateError(f"template: {self.name}:{line}: {message}", line)

    def unexpected(self, token: Token, context: str) -> None:
        if token.kind == "error":
            raise self.fail(token.value, token.line)
        raise self.fail(f"unexpected {token} in {context}", token.line)

    # Lists

    def whole(self) -> None:
        root = ListNode(self.peek().pos)
        while self.peek().kind != "eof":
            if self.peek().kind == "left" and self._starts_definition():
                self._definition()
                continue
            node = self._text_or_action()
            if isinstance(node, _Stop):
                raise self.fail(f"unexpected {node}")
            root.nodes.append(node)
        self._add(Tree(self.name, self.name, self.text, root))

    def _starts_definition(self) -> bool:
        before = self.at
        self.at += 1
        token = self.next_non_space()
        if token.kind == "keyword" and token.value == "define":
            return True
        self.at = before
        return False

    def _add(self, tree: Tree) -> None:
        known = self.trees.get(tree.name)
        if known is None or _is_empty(known.root):
            self.trees[tree.name] = tree
        elif not _is_empty(tree.root):
            raise self.fail(f"template: multiple definition of template {quoted(tree.name)}")

    def _sub_tree(self, name: str, context: str) -> None:
        """A define or block body, with variables of its own."""
        saved, self.variables = self.variables, ["$"]
        loops, self.range_depth = self.range_depth, 0
        body, stop = self._items()
        if stop.word != "end":
            raise self.fail(f"unexpected {stop} in {context}")
        self.variables, self.range_depth = saved, loops
        self._add(Tree(name, self.name, self.text, body))

    def _definition(self) -> None:
        context = "define clause"
        name = self._template_name(self.next_non_space(), context)
        self.expect("right", context)
        self._sub_tree(name, context)

    def _template_name(self, token: Token, context: str) -> str:
        if token.kind not in ("string", "raw"):
            self.unexpected(token, context)
        return self._unquote(token)

    def _unquote(self, token: Token) -> str:
        try:
            return unquote(token.value)
        except ValueError as error:
            raise self.fail(str(error), token.line) from None

    def _items(self) -> tuple[ListNode, _Stop]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail("max expression depth exceeded")
        out = ListNode(self.peek_non_space().pos)
        while self.peek_non_space().kind != "eof":
            node = self._text_or_action()
            if isinstance(node, _Stop):
                self.depth -= 1
                return out, node
            out.nodes.append(node)
        raise self.fail("unexpected EOF", self.peek().line)

    def _text_or_action(self) -> Node:
        token = self.next_non_space()
        if token.kind == "text":
            return Text(token.pos, token.value)
        if token.kind != "left":
            self.unexpected(token, "input")
        return self._action()

    def _action(self) -> Node:
        token = self.next_non_space()
        if token.kind == "keyword":
            match token.value:
                case "block":
                    return self._block()
                case "break" | "continue":
                    return self._jump(token)
                case "else":
                    return self._else()
                case "end":
                    return _Stop(self.expect("right", "end").pos, "end")
                case "if" | "range" | "with":
                    return self._branch(token.value)
                case "template":
                    return self._invoke()
        self.at -= 1
        return Action(self.peek().pos, self._pipeline("command", "right"))

    # Control structures

    def _else(self) -> Node:
        token = self.peek_non_space()
        if token.kind == "keyword" and token.value in ("if", "with"):
            return _Stop(token.pos, "else", token.value)
        return _Stop(self.expect("right", "else").pos, "else")

    def _branch(self, word: str) -> Branch:
        declared = len(self.variables)
        pipe = self._pipeline(word, "right")
        if word == "range":
            self.range_depth += 1
        body, stop = self._items()
        if word == "range":
            self.range_depth -= 1
        other: ListNode | None = None
        if stop.word == "else":
            if stop.chained and stop.chained == word:
                self.next_non_space()
                self.links += 1
                if self.links > _MAX_LINKS:
                    raise self.fail(f"more than {_MAX_LINKS} times {{{{else {word}}}}}")
                other = ListNode(stop.pos)
                other.nodes.append(self._branch(word))
                self.links -= 1
            elif stop.chained:
                raise self.fail(f"unexpected <{stop.chained}> in else")
            else:
                other, stop = self._items()
                if stop.word != "end":
                    raise self.fail(f"expected end; found {stop}")
        del self.variables[declared:]
        return Branch(pipe.pos, word, pipe, body, other)

    def _jump(self, token: Token) -> Node:
        after = self.next_non_space()
        if after.kind != "right":
            self.unexpected(after, f"{{{{{token.value}}}}}")
        if self.range_depth == 0:
            raise self.fail(f"{{{{{token.value}}}}} outside {{{{range}}}}", token.line)
        return Jump(token.pos, token.value)

    def _block(self) -> Node:
        context = "block clause"
        token = self.next_non_space()
        name = self._template_name(token, context)
        pipe = self._pipeline(context, "right")
        self._sub_tree(name, context)
        return Invoke(token.pos, name, pipe)

    def _invoke(self) -> Node:
        context = "template clause"
        token = self.next_non_space()
        name = self._template_name(token, context)
        if self.next_non_space().kind == "right":
            return Invoke(token.pos, name, None)
        self.at -= 1
        return Invoke(token.pos, name, self._pipeline(context, "right"))

    # Pipelines

    def _pipeline(self, context: str, end: str) -> Pipe:
        pipe = Pipe(self.peek_non_space().pos)
        self._declarations(pipe, context)
        while True:
            token = self.next_non_space()
            if token.kind == end:
                self._check(pipe, context)
                return pipe
            if token.kind not in _OPERANDS and not (
                token.kind == "keyword" and token.value in ("nil", "break", "continue")
            ):
                self.unexpected(token, context)
            self.at -= 1
            pipe.commands.append(self._command())

    def _declarations(self, pipe: Pipe, context: str) -> None:
        while self.peek_non_space().kind == "variable":
            start = self.at
            variable = self.next()
            following = self.peek_non_space()
            if following.kind in ("assign", "declare"):
                pipe.assigns = following.kind == "assign"
                self.next_non_space()
                pipe.declared.append(Variable(variable.pos, (variable.value,)))
                if pipe.assigns:
                    for declared in pipe.declared:
                        self._check_variable(declared.names[0], variable.line)
                else:
                    self.variables.append(variable.value)
                return
            if following.kind == "char_" and following.value == ",":
                self.next_non_space()
                pipe.declared.append(Variable(variable.pos, (variable.value,)))
                self.variables.append(variable.value)
                if context != "range" or len(pipe.declared) >= 2:
                    raise self.fail(f"too many declarations in {context}")
                if self.peek_non_space().kind not in ("variable", "right", "rparen"):
                    raise self.fail("range can only initialize variables")
                continue
            self.at = start
            return

    def _check(self, pipe: Pipe, context: str) -> None:
        if not pipe.commands:
            raise self.fail(f"missing value for {context}")
        for index, command in enumerate(pipe.commands[1:], start=2):
            if isinstance(command.args[0], Constant | Dot | Nil):
                raise self.fail(f"non executable command in pipeline stage {index}")

    def _command(self) -> Command:
        command = Command(self.peek_non_space().pos)
        while True:
            self.peek_non_space()
            operand = self._operand()
            if operand is not None:
                command.args.append(operand)
            token = self.next()
            if token.kind == "space":
                continue
            if token.kind in ("right", "rparen"):
                self.at -= 1
            elif token.kind == "pipe":
                if self.peek_non_space().kind in ("right", "rparen"):
                    raise self.fail("missing value for command")
            else:
                self.unexpected(token, "operand")
            break
        if not command.args:
            raise self.fail("empty command")
        return command

    def _operand(self) -> Node | None:
        node = self._term()
        if node is None or self.peek().kind != "field":
            return node
        pos, names = self.peek().pos, []
        while self.peek().kind == "field":
            names.append(self.next().value[1:])
        if isinstance(node, FieldNode):
            return FieldNode(pos, (*node.names, *names))
        if isinstance(node, Variable):
            return Variable(pos, (*node.names, *names))
        if isinstance(node, Constant | Nil | Dot):
            raise self.fail(f"unexpected . after term {quoted(str(node))}")
        return Chain(pos, node, tuple(names))

    def _term(self) -> Node | None:
        token = self.next_non_space()
        match token.kind:
            case "identifier":
                if token.value not in self.functions:
                    raise self.fail(f"function {quoted(token.value)} not defined", token.line)
                return Identifier(token.pos, token.value)
            case "dot":
                return Dot(token.pos)
            case "variable":
                self._check_variable(token.value, token.line)
                return Variable(token.pos, (token.value,))
            case "field":
                return FieldNode(token.pos, (token.value[1:],))
            case "bool":
                return Constant(token.pos, token.value, token.value == "true", "bool")
            case "char" | "complex" | "number":
                try:
                    return Constant(token.pos, token.value, number(token.value, token.kind), "number")
                except ValueError as error:
                    raise self.fail(str(error), token.line) from None
            case "string" | "raw":
                return Constant(token.pos, token.value, self._unquote(token), "string")
            case "lparen":
                return self._parenthesized()
            case "keyword" if token.value == "nil":
                return Nil(token.pos)
        self.at -= 1
        return None

    def _parenthesized(self) -> Pipe:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail("max expression depth exceeded")
        pipe = self._pipeline("parenthesized pipeline", "rparen")
        self.depth -= 1
        return pipe

    def _check_variable(self, name: str, line: int) -> None:
        if name not in self.variables:
            raise self.fail(f"undefined variable {quoted(name)}", line)


class _Stop(Node):
    """{{end}}, {{else}}, or the else of {{else if …}} (chained: the word that follows)."""

    def __init__(self, pos: int, word: str, chained: str = "") -> None:
        super().__init__(pos)
        self.word = word
        self.chained = chained

    def __str__(self) -> str:
        return f"{{{{{self.word}}}}}"


def _is_empty(root: ListNode | None) -> bool:
    return root is None or all(isinstance(n, Text) and not n.text.strip() for n in root.nodes)
