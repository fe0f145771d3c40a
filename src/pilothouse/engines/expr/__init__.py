"""The expression language of success and failure conditions (expr-lang as Argo Rollouts uses it).

`compile(text)` checks the syntax once and gives a `Program`; `Program.run(env)` evaluates it. Both raise
`ExprError`, which knows the position. Own small parser and evaluator; no state, no time, no input but the arguments.
Source: expr-lang/expr 1.17 language definition; the functions of conditions: argo-rollouts `utils/evaluate`.
"""

from pilothouse.engines.expr.conditions import condition_holds, verdict
from pilothouse.engines.expr.errors import ExprError
from pilothouse.engines.expr.program import Program, compile

__all__ = ["ExprError", "Program", "compile", "condition_holds", "verdict"]
