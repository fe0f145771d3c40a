"""What analyses measure with in a rehearsal: queries over the run's own database; nothing outside can be reached."""

from __future__ import annotations

from pilothouse.engines import promql
from pilothouse.engines.tsdb import Database
from pilothouse.kinds.argoproj.analysisrun.providers import ProviderError, WebAnswer, WebRequest


class Measured:
    """The providers of a rehearsal (`kinds.argoproj.analysisrun.providers.Providers`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def query(self, text: str, time_s: float) -> float | list[float]:
        try:
            found = promql.compile(text).instant(self._database, round(time_s * 1000))
        except (promql.ParseError, promql.EvalError) as error:
            raise ProviderError(f"the query {text!r} fails: {error.finding.message}") from None
        if isinstance(found, promql.Vector):
            return [value for _labels, value in found]
        if isinstance(found, promql.Scalar):
            return found.value
        raise ProviderError(f"the query {text!r} gives neither a number nor a vector")

    def query_range(self, text: str, start_s: float, end_s: float, step_s: float) -> list[float]:
        moments = round((end_s - start_s) / step_s) + 1 if step_s > 0 else 0
        out: list[float] = []
        for index in range(moments):
            found = self.query(text, start_s + index * step_s)
            out += found if isinstance(found, list) else [found]
        return out

    def fetch(self, request: WebRequest) -> WebAnswer:
        raise ProviderError(f"{request.url} cannot be reached from a rehearsal; measure with prometheus instead")
