"""PromQL, the language of Prometheus 3: parse, check, compile once, evaluate on a `tsdb.Database` at one time or
over many.

```python
plan = promql.compile('sum by (job) (rate(requests_total{code=~"5.."}[5m])) > 0.1')
plan.instant(database, now_ms)                      # Scalar | String | Vector | RangeVector
plan.range(database, start_ms, end_ms, step_ms)     # Matrix, all steps at once
```

Public face below. May touch base, numpy and engines.tsdb; alerting, signals, reports and the HTTP API call it.
Inside: `lexer`, `parser`, `check` make the tree of `ast`; `plan` compiles it into nodes that compute `grid.Grid`s
(all steps and series of a sub-expression at once); `windows` gives range functions their samples.
"""

from pilothouse.engines.promql.ast import Expr, VectorSelector
from pilothouse.engines.promql.errors import Annotations, EvalError, NotEvaluated, ParseError
from pilothouse.engines.promql.limits import DEFAULT_LOOKBACK_MS, DEFAULT_SUBQUERY_STEP_MS
from pilothouse.engines.promql.parser import parse, parse_selector
from pilothouse.engines.promql.plan import Plan, compile
from pilothouse.engines.promql.printer import format_number, to_text
from pilothouse.engines.promql.values import Answer, Matrix, RangeVector, Scalar, String, Vector

__all__ = [
    "DEFAULT_LOOKBACK_MS",
    "DEFAULT_SUBQUERY_STEP_MS",
    "Annotations",
    "Answer",
    "EvalError",
    "Expr",
    "Matrix",
    "NotEvaluated",
    "ParseError",
    "Plan",
    "RangeVector",
    "Scalar",
    "String",
    "Vector",
    "VectorSelector",
    "compile",
    "format_number",
    "parse",
    "parse_selector",
    "to_text",
]
