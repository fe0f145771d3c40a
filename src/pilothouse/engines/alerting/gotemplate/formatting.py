"""Go's fmt: Sprint, Sprintln, Sprintf over the values of `values` (fmt/print.go and fmt/format.go, Go 1.23)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pilothouse.engines.alerting.gotemplate.values import GoMap, GoSlice, GoStruct, Named, type_name
from pilothouse.engines.alerting.rules import quoted


def sprint(*args: Any) -> str:
    """Spaces only between operands when neither is a string."""
    out, was_string = [], True
    for index, arg in enumerate(args):
        is_string = isinstance(arg, str)
        if index and not is_string and not was_string:
            out.append(" ")
        out.append(plain(arg))
        was_string = is_string
    return "".join(out)


def sprintln(*args: Any) -> str:
    return " ".join(plain(a) for a in args) + "\n"


def plain(value: Any, depth: int = 0) -> str:
    """%v."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, complex):
        imaginary = float_text(value.imag)
        return f"({float_text(value.real)}{'' if imaginary[0] in '+-' else '+'}{imaginary}i)"
    if isinstance(value, GoMap):
        return "map[" + " ".join(f"{k}:{plain(value[k], depth + 1)}" for k in sorted(value)) + "]"
    if isinstance(value, GoSlice):
        return "[" + " ".join(plain(v, depth + 1) for v in value) + "]"
    if isinstance(value, GoStruct):
        body = "{" + " ".join(plain(v, depth + 1) for v in value.fields.values()) + "}"
        return "&" + body if value.pointer and depth == 0 else body
    return str(value)


def float_text(value: float, verb: str = "g", precision: int = -1) -> str:
    """strconv.FormatFloat(value, verb, precision, 64); precision -1 is the shortest that reads back."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if precision >= 0:
        return f"{value:.{precision}{verb}}"
    sign, digits, point = _shortest(value)
    if verb == "g":
        verb = "e" if point - 1 < -4 or point - 1 >= 6 else "f"
    if verb == "e":
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if point - 1 < 0 else '+'}{abs(point - 1):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}" if digits != "0" else sign + "0"
    if len(digits) <= point:
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"


def _shortest(value: float) -> tuple[str, str, int]:
    """(sign, digits without trailing zeros, position of the decimal point): 0.05 is ("", "5", -1)."""
    text = repr(abs(value))
    sign = "-" if math.copysign(1, value) < 0 else ""
    mantissa, _, exponent = text.partition("e")
    whole, _, part = mantissa.partition(".")
    digits, point = (whole + part), len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return (sign, stripped, point) if stripped else (sign, "0", 1)


# Sprintf


class _Spec:
    """One % directive's flags, width and precision."""

    __slots__ = ("minus", "named", "plus", "precision", "sharp", "space", "width", "zero")

    def __init__(self) -> None:
        self.plus = self.minus = self.sharp = self.space = self.zero = False
        self.named = False
        self.width: int | None = None
        self.precision: int | None = None

    def pad(self, text: str, zeros: bool = False) -> str:
        if self.width is None or len(text) >= self.width:
            return text
        if self.minus:
            return text.ljust(self.width)
        if zeros and self.zero:
            sign = text[0] if text[:1] in ("+", "-", " ") else ""
            return sign + text[len(sign) :].rjust(self.width - len(sign), "0")
        return text.rjust(self.width)


def sprintf(template: str, *args: Any) -> str:
    """Never fails: mistakes appear in the output, as Go prints them (`%!d(string=x)`, `%!s(MISSING)`)."""
    return _Printer(template, args).run()


_LIMIT = 1_000_000
"""Go's own limit for width and precision."""


class _Printer:
    def __init__(self, template: str, args: Sequence[Any]) -> None:
        self.text = template
        self.args = args
        self.at = 0
        self.arg = 0
        self.reordered = False
        self.good_index = True
        self.out: list[str] = []

    def run(self) -> str:
        text = self.text
        while self.at < len(text):
            percent = text.find("%", self.at)
            if percent < 0:
                self.out.append(text[self.at :])
                break
            self.out.append(text[self.at : percent])
            self.at = percent + 1
            self._directive()
        if not self.reordered and self.arg < len(self.args):
            extra = ", ".join("<nil>" if a is None else f"{type_name(a)}={plain(a)}" for a in self.args[self.arg :])
            self.out.append(f"%!(EXTRA {extra})")
        return "".join(self.out)

    def _directive(self) -> None:
        spec, text = _Spec(), self.text
        self.good_index = True
        after_index = False
        while self.at < len(text) and text[self.at] in "+-# 0":
            match text[self.at]:
                case "+":
                    spec.plus = True
                case "-":
                    spec.minus, spec.zero = True, False
                case "#":
                    spec.sharp = True
                case " ":
                    spec.space = True
                case "0":
                    spec.zero = not spec.minus
            self.at += 1
        after_index = self._index()
        spec.width = self._number("BADWIDTH", spec)
        if spec.width is not None and after_index and text[self.at - 1 : self.at] != "*":
            self.good_index = False
        if self.at < len(text) and text[self.at] == ".":
            self.at += 1
            if after_index and spec.width is None:
                self.good_index = False
            after_index = self._index()
            precision = self._number("BADPREC", None)
            spec.precision = 0 if precision is None else precision
        if not after_index or spec.width is not None:
            self._index()
        if self.at >= len(text):
            self.out.append("%!(NOVERB)")
            return
        verb = text[self.at]
        self.at += 1
        if verb == "%":
            self.out.append("%")
        elif not self.good_index:
            self.out.append(f"%!{verb}(BADINDEX)")
        elif self.arg >= len(self.args):
            self.out.append(f"%!{verb}(MISSING)")
        else:
            value = self.args[self.arg]
            self.arg += 1
            if verb == "v" and spec.plus:
                # Under %+v the plus asks for field names, not for signs.
                spec.named, spec.plus = True, False
            self.out.append(_shown(value, verb, spec))

    def _index(self) -> bool:
        """`[n]`: the next operand is number n."""
        text = self.text
        if self.at >= len(text) or text[self.at] != "[":
            return False
        self.reordered = True
        close = text.find("]", self.at)
        if close < 0:
            self.good_index, self.at = False, self.at + 1
            return False
        body = text[self.at + 1 : close]
        self.at = close + 1
        if not body.isascii() or not body.isdigit() or not 1 <= int(body) <= len(self.args):
            self.good_index = False
            return True
        self.arg = int(body) - 1
        return True

    def _number(self, complaint: str, spec: _Spec | None) -> int | None:
        text = self.text
        if self.at < len(text) and text[self.at] == "*":
            self.at += 1
            value = self.args[self.arg] if self.arg < len(self.args) else None
            self.arg += 1
            if (
                not isinstance(value, int)
                or isinstance(value, bool)
                or abs(value) > _LIMIT
                or (spec is None and value < 0)
            ):
                self.out.append(f"%!({complaint})")
                return None
            if value < 0 and spec is not None:
                spec.minus, spec.zero = True, False
            return abs(value)
        start = self.at
        while self.at < len(text) and text[self.at].isascii() and text[self.at].isdigit():
            self.at += 1
        digits = text[start : self.at]
        return min(int(digits[:9]), _LIMIT) if digits else None


def _shown(value: Any, verb: str, spec: _Spec) -> str:
    if verb == "T":
        return spec.pad(type_name(value))
    if verb == "v" and spec.sharp and not isinstance(value, float | int):
        return spec.pad(_source_form(value))
    if value is None:
        return spec.pad("<nil>") if verb == "v" else f"%!{verb}(<nil>)"
    text = _by_kind(value, verb, spec)
    return _bad(value, verb, spec) if text is None else text


def _bad(value: Any, verb: str, spec: _Spec) -> str:
    """A verb that does not fit its operand: the value follows under %v, width and precision as given."""
    return f"%!{verb}({type_name(value)}={_shown(value, 'v', spec)})"


def _by_kind(value: Any, verb: str, spec: _Spec) -> str | None:
    """The text of a value under a verb, None when the verb does not fit."""
    if isinstance(value, bool):
        return spec.pad("true" if value else "false") if verb in "vt" else None
    if verb in "vsqxX" and isinstance(value, Named):
        return _string(str(value), "s" if verb == "v" else verb, spec)
    if isinstance(value, int):
        return _integer(int(value), verb, spec)
    if isinstance(value, float):
        return _float(value, verb, spec)
    if isinstance(value, str):
        return _string(str(value), verb, spec)
    if hasattr(value, "ns"):
        return _integer(value.ns, verb, spec)
    if isinstance(value, GoMap | GoSlice | GoStruct):
        return _compound(value, verb, spec)
    return spec.pad(plain(value)) if verb == "v" else None


def _compound(value: Any, verb: str, spec: _Spec) -> str:
    def each(item: Any) -> str:
        if isinstance(item, GoStruct) and item.pointer and verb not in "vpbodxX":
            return _bad(item, verb, spec)  # inside another value a pointer is an address
        return _shown(item, verb, spec)

    if isinstance(value, GoMap):
        return "map[" + " ".join(f"{each(k)}:{each(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, GoSlice):
        return "[" + " ".join(each(v) for v in value) + "]"
    pieces = [f"{n}:{each(v)}" if spec.named else each(v) for n, v in value.fields.items()]
    return ("&" if value.pointer else "") + "{" + " ".join(pieces) + "}"


def _integer(value: int, verb: str, spec: _Spec) -> str | None:
    if verb == "c":
        return spec.pad(_char(value))
    if verb == "q":
        return spec.pad(_quoted_char(value))
    if verb == "U":
        return spec.pad(f"U+{value % 2**64:04X}")
    bases: dict[str, Callable[[int], str]] = {
        "v": str, "d": str, "b": lambda n: f"{n:b}", "o": lambda n: f"{n:o}", "O": lambda n: f"{n:o}",
        "x": lambda n: f"{n:x}", "X": lambda n: f"{n:X}",
    }  # fmt: skip
    if verb not in bases:
        return None
    digits = bases[verb](abs(value))
    if spec.precision is not None:
        digits = "" if spec.precision == 0 and value == 0 else digits.rjust(spec.precision, "0")
    elif spec.zero and spec.width is not None and not spec.minus:
        sign_room = 1 if value < 0 or spec.plus or spec.space else 0
        digits = digits.rjust(spec.width - sign_room, "0")
    if spec.sharp and verb in "boxX":
        digits = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}[verb] + digits
    elif verb == "O":
        digits = "0o" + digits
    sign = "-" if value < 0 else "+" if spec.plus else " " if spec.space else ""
    return spec.pad(sign + digits)


def _char(value: int) -> str:
    return chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"


def _quoted_char(value: int) -> str:
    """A rune in single quotes, escaped as inside a string except for the quotes themselves."""
    char = _char(value)
    return {"'": r"'\''", '"': "'\"'"}.get(char) or "'" + quoted(char)[1:-1] + "'"


def _float(value: float, verb: str, spec: _Spec) -> str | None:
    if verb not in "vbeEfFgGxX":
        return None
    lower = {"v": "g", "F": "f"}.get(verb, verb.lower())
    if lower in "bx":
        text = _binary(value, lower, spec.precision)
    elif lower == "g":
        text = float_text(value) if spec.precision is None else float_text(value, "g", spec.precision)
    else:
        text = float_text(value, lower, 6 if spec.precision is None else spec.precision)
    if verb in "EGX":
        text = text.upper().replace("INF", "Inf").replace("NAN", "NaN")
    if text[0] not in "+-":
        text = "+" + text
    finite = math.isfinite(value)
    if spec.space and text[0] == "+" and not spec.plus:
        text = " " + text[1:]
    elif text[0] == "+" and not spec.plus and not (math.isinf(value) and verb != "v" and spec.plus):
        text = text if math.isinf(value) else text[1:]
    if math.isnan(value) and not spec.plus and not spec.space:
        text = text.lstrip("+")
    return spec.pad(text, zeros=finite)


def _binary(value: float, verb: str, precision: int | None) -> str:
    """%b, mantissa and power of two as integers, and %x, both in base 16 with a binary exponent."""
    if not math.isfinite(value):
        return float_text(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    fraction, exponent = math.frexp(abs(value))
    if verb == "b":
        # Subnormals keep the smallest exponent, zero has it as well.
        power = max(exponent - 53, -1074)
        return f"{sign}{int(math.ldexp(abs(value), -power))}p{power:+d}"
    whole = int(math.ldexp(fraction, 53))
    if precision is not None and precision < 13 and whole:
        unit = 1 << (52 - 4 * precision)
        kept, rest = divmod(whole, unit)
        whole = (kept + (rest * 2 > unit or (rest * 2 == unit and kept & 1))) * unit
        if whole >> 53:
            whole, exponent = whole >> 1, exponent + 1
    power = exponent - 1 if whole else 0
    digits = f"{whole & ((1 << 52) - 1):013x}"
    digits = digits.rstrip("0") if precision is None else digits[:precision].ljust(precision, "0")
    return f"{sign}0x{whole >> 52}{'.' if digits else ''}{digits}p{'-' if power < 0 else '+'}{abs(power):02d}"


def _string(value: str, verb: str, spec: _Spec) -> str | None:
    if verb in "vs":
        return spec.pad(value if spec.precision is None else value[: spec.precision], zeros=True)
    if verb == "q":
        cut = value if spec.precision is None else value[: spec.precision]
        return spec.pad("`" + cut + "`" if spec.sharp and "`" not in cut and cut.isprintable() else quoted(cut))
    if verb in "xX":
        raw = value.encode(errors="surrogateescape")
        if spec.precision is not None:
            raw = raw[: spec.precision]
        text = raw.hex(" ") if spec.space else raw.hex()
        return spec.pad(text.upper() if verb == "X" else text)
    return None


def _source_form(value: Any) -> str:
    """%#v."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float):
        return plain(value)
    if isinstance(value, GoMap):
        return value.type_name + "{" + ", ".join(f"{quoted(k)}:{_source_form(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, GoSlice):
        return value.type_name + "{" + ", ".join(map(_source_form, value)) + "}"
    if isinstance(value, GoStruct):
        body = ", ".join(f"{n}:{_source_form(v)}" for n, v in value.fields.items())
        return f"{'&' if value.pointer else ''}{value.type_name}{{{body}}}"
    return str(value)
