"""Rule templates: Prometheus' functions over `gotemplate`, for alert labels and annotations.

A template is parsed once, when its rule is read. Expanding one never fails: what goes wrong becomes the text
`<error expanding template: …>`, so the alert still fires. What a template may look at (the queries, the external labels
and URL) comes in as a `TemplateContext`; it has no clock.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pilothouse.base.duration import parse_prometheus_duration_ms
from pilothouse.engines.alerting.gotemplate.builtins import BUILTINS, query_escape
from pilothouse.engines.alerting.gotemplate.errors import CallError, ExecutionError
from pilothouse.engines.alerting.gotemplate.execution import execute
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
    ListNode,
    Node,
    Pipe,
    Tree,
    Variable,
)  # fmt: skip
from pilothouse.engines.alerting.gotemplate.parser import parse
from pilothouse.engines.alerting.gotemplate.values import HTML, Function, GoMap, GoSlice, GoStruct
from pilothouse.engines.alerting.humanize import (
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
    to_duration,
    to_time,
)  # fmt: skip
from pilothouse.engines.alerting.queries import QueryError, compile_query
from pilothouse.engines.alerting.regex import BadPattern, find_match, replace_all
from pilothouse.engines.alerting.rules import Labels, quoted

_PREAMBLE = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)
_DATA_TYPE = (
    "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }"
)

QueryFunction = Callable[[str], Sequence[tuple[Labels, float]]]
"""Answers a PromQL text at the template's time; QueryError when it cannot."""


def _no_queries(text: str) -> Sequence[tuple[Labels, float]]:
    raise QueryError(f"no data to query for {quoted(text)}")


@dataclass(slots=True)
class TemplateContext:
    """What a template may look at besides its alert. now_s: the evaluation's time, Unix seconds."""

    now_s: float = 0.0
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    base_url: str | None = ""
    """What the functions externalURL and pathPrefix see; None: nothing was configured, as in promtool, and they
    fail.
    """
    query: QueryFunction = _no_queries
    _functions: dict[str, Function] | None = None

    def functions(self) -> dict[str, Function]:
        """The template functions of this context, made once."""
        if self._functions is None:
            self._functions = template_functions(self)
        return self._functions


def template_functions(context: TemplateContext) -> dict[str, Function]:
    """Prometheus' whole function set, Go's builtins included."""

    def url() -> str:
        if context.base_url is None:
            raise CallError("runtime error: invalid memory address or nil pointer dereference")
        return context.base_url

    return {
        **_STATIC,
        "query": Function(lambda text: _query(context.query, text), ("string",)),
        "now": Function(lambda: context.now_s, ()),
        "pathPrefix": Function(lambda: urlsplit(url()).path, ()),
        "externalURL": Function(url, ()),
    }


def sample_struct(labels: Labels, value: float) -> GoStruct:
    """One query result as templates see it: .Labels and .Value."""
    return GoStruct("template.sample", {"Labels": GoMap(dict(labels)), "Value": value}, pointer=True)


def _query(query: QueryFunction, text: str) -> GoSlice:
    try:
        samples = query(text)
    except QueryError as error:
        raise CallError(str(error)) from None
    return GoSlice([sample_struct(labels, value) for labels, value in samples], "template.queryResult")


def _first(vector: GoSlice | None) -> Any:
    if not vector:
        raise CallError("first() called on vector with no elements")
    return vector[0]


def _field(sample: GoStruct | None, name: str) -> Any:
    if sample is None:
        raise CallError("runtime error: invalid memory address or nil pointer dereference")
    return sample.fields[name]


def _sort_by_label(label: str, vector: GoSlice | None) -> GoSlice:
    ordered = sorted(vector or (), key=lambda sample: _field(sample, "Labels").get(label, ""))
    return GoSlice(ordered, "template.queryResult")


def _args(*values: Any) -> GoMap:
    return GoMap({f"arg{i}": v for i, v in enumerate(values)}, "interface {}")


def title_words(text: str) -> str:
    """Upper case after every character that cannot be inside a word; an apostrophe begins a new one (strings.Title)."""
    out, inside = [], False
    for char in text:
        out.append(char if inside else _upper(char))
        inside = char.isalnum() or char == "_" or (not char.isascii() and not char.isspace())
    return "".join(out)


def _upper(char: str) -> str:
    upper = char.upper()
    return upper if len(upper) == 1 else char


def _to_lower(text: str) -> str:
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def split_host_port(text: str) -> tuple[str, str] | None:
    """net.SplitHostPort: None when there is no port or the text is no address."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":") or "[" in host or set("[]:") & set(rest[1:]):
            return None
        return host, rest[1:]
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host or set("[]") & set(text):
        return None
    return host, port


def _strip_port(text: str) -> str:
    parts = split_host_port(text)
    return parts[0] if parts else text


def _strip_domain(text: str) -> str:
    parts = split_host_port(text)
    host, port = parts or (text, "")
    if _is_ip(host):
        return text
    host = host.split(".")[0]
    if not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _match(pattern: str, text: str) -> bool:
    try:
        return find_match(pattern, text)
    except BadPattern as error:
        raise CallError(str(error)) from None


def _replace_all(pattern: str, replacement: str, text: str) -> str:
    try:
        return replace_all(pattern, replacement, text)
    except BadPattern as error:
        raise CallError(f"regexp: Compile({quoted(pattern)}): {error}") from None


def _parse_duration(text: str) -> float:
    negative = text.startswith("-")
    try:
        seconds = parse_prometheus_duration_ms(text[1:] if negative else text) / 1000
    except ValueError:
        what = "empty duration string" if not text else f"not a valid duration string: {quoted(text)}"
        raise CallError(what) from None
    return -seconds if negative else seconds


def _link(expr: str, tab: int) -> str:
    return f"/graph?g0.expr={query_escape(expr)}&g0.tab={tab}"


def table_link(expr: str) -> str:
    """The relative link to an expression's table view, as alerts' generatorURL ends."""
    return _link(expr, 1)


_STATIC: dict[str, Function] = {
    **BUILTINS,
    "first": Function(_first, ("template.queryResult",)),
    "label": Function(lambda label, s: _field(s, "Labels").get(label, ""), ("string", "*template.sample")),
    "value": Function(lambda s: _field(s, "Value"), ("*template.sample",)),
    "strvalue": Function(lambda s: _field(s, "Labels").get("__value__", ""), ("*template.sample",)),
    "sortByLabel": Function(_sort_by_label, ("string", "template.queryResult")),
    "args": Function(_args, (), "any"),
    "reReplaceAll": Function(_replace_all, ("string", "string", "string")),
    "match": Function(_match, ("string", "string")),
    "safeHtml": Function(HTML, ("string",)),
    "title": Function(title_words, ("string",)),
    "toUpper": Function(lambda text: "".join(map(_upper, text)), ("string",)),
    "toLower": Function(_to_lower, ("string",)),
    "graphLink": Function(lambda expr: _link(expr, 0), ("string",)),
    "tableLink": Function(table_link, ("string",)),
    "stripPort": Function(_strip_port, ("string",)),
    "stripDomain": Function(_strip_domain, ("string",)),
    "humanize": Function(humanize, ("any",)),
    "humanize1024": Function(humanize1024, ("any",)),
    "humanizeDuration": Function(humanize_duration, ("any",)),
    "humanizePercentage": Function(humanize_percentage, ("any",)),
    "humanizeTimestamp": Function(humanize_timestamp, ("any",)),
    "toTime": Function(to_time, ("any",)),
    "toDuration": Function(to_duration, ("any",)),
    "parseDuration": Function(_parse_duration, ("string",)),
    "urlQueryEscape": Function(query_escape, ("string",)),
}
FUNCTION_NAMES = frozenset((*_STATIC, "query", "now", "pathPrefix", "externalURL"))


@dataclass(frozen=True, slots=True)
class AlertTemplate:
    """One label or annotation template of an alert.

    constant: the text when nothing in it changes, else None. queries: it asks the database. reads_value: the text may
    differ when only the alert's value does. timely: it may differ when only time passes.
    """

    name: str
    text: str
    trees: Mapping[str, Tree]
    constant: str | None
    queries: bool
    reads_value: bool
    timely: bool
    query_texts: tuple[str | None, ...] = ()

    @classmethod
    def parse(cls, alert: str, text: str) -> AlertTemplate:
        """TemplateError, worded as Prometheus refuses the rule file, when the text is no template."""
        name = f"__alert_{alert}"
        if "{{" not in text:
            return cls(name, text, {}, text, queries=False, reads_value=False, timely=False)
        trees = parse(name, _PREAMBLE + text, FUNCTION_NAMES)
        main = trees[name]
        if main.root is not None:
            # The preamble stands in the text for the places in errors; its variables are handed in, not computed.
            main.root = _without_preamble(main.root)
        found = _Findings()
        for tree in trees.values():
            if tree.root is not None:
                found.look(tree.root)
        return cls(
            name, text, trees, None,
            queries=bool(found.queries), reads_value=found.value, timely=found.now or bool(found.queries),
            query_texts=tuple(found.queries),
        )  # fmt: skip

    def expand(self, labels: Labels, value: float, context: TemplateContext) -> str:
        """The text for an alert with these labels (as the expression gave them) and value."""
        if self.constant is not None:
            return self.constant
        fields = {
            "Labels": GoMap(dict(labels)),
            "ExternalLabels": GoMap(dict(context.external_labels)),
            "ExternalURL": context.external_url,
            "Value": value,
        }
        data = GoStruct(_DATA_TYPE, fields)
        try:
            variables = {"$labels": fields["Labels"], "$externalLabels": fields["ExternalLabels"]}
            variables |= {"$externalURL": context.external_url, "$value": value}
            return execute(self.trees, self.name, data, context.functions(), variables)
        except ExecutionError as error:
            return f"<error expanding template: error executing template {self.name}: {error}>"

    def query_metric_names(self) -> frozenset[str] | None:
        """The metric names its queries read; None when that cannot be told."""
        names: frozenset[str] = frozenset()
        for text in self.query_texts:
            try:
                read = compile_query(text).metric_names if text is not None else None
            except QueryError:
                continue
            if read is None:
                return None
            names |= read
        return names


def _without_preamble(root: ListNode) -> ListNode:
    return ListNode(root.pos, root.nodes[4:])


class _Findings:
    """What a template's nodes can look at."""

    def __init__(self) -> None:
        self.value = False
        self.now = False
        self.queries: list[str | None] = []

    def look(self, node: Node) -> None:
        match node:
            case ListNode():
                for child in node.nodes:
                    self.look(child)
            case Action():
                self.look(node.pipe)
            case Branch():
                self.look(node.pipe)
                self.look(node.body)
                if node.other is not None:
                    self.look(node.other)
            case Invoke():
                if node.pipe is not None:
                    self.look(node.pipe)
            case Pipe():
                for command in node.commands:
                    self.look(command)
            case Command():
                self.command(node)
            case Chain():
                self.look(node.node)
            case Dot():
                self.value = True
            case FieldNode():
                self.value = self.value or node.names[0] not in ("Labels", "ExternalLabels", "ExternalURL")
            case Variable():
                whole = node.names == ("$",) or (node.names[0] == "$" and node.names[1] == "Value")
                self.value = (
                    self.value or whole or node.names[0] not in ("$", "$labels", "$externalLabels", "$externalURL")
                )
            case Identifier():
                self.now = self.now or node.name == "now"

    def command(self, node: Command) -> None:
        first = node.args[0]
        if isinstance(first, Identifier) and first.name == "query":
            argument = node.args[1] if len(node.args) == 2 else None
            known = argument.value if isinstance(argument, Constant) and isinstance(argument.value, str) else None
            self.queries.append(known)
        for arg in node.args:
            if isinstance(arg, Identifier) and arg.name == "query" and arg is not first:
                self.queries.append(None)
            self.look(arg)
