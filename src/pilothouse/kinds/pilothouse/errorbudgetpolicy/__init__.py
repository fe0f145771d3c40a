"""ErrorBudgetPolicy: what happens to releases when an error budget runs low.

| file | what it knows |
| --- | --- |
| `kind`, `schema` | names, shape, rules, columns |
| `spec` | reading a policy, and which workloads it covers |
| `decide` | budgets to phase, Events, held Rollouts; pure |
| `controller` | reads the store and asks for budgets |
| `admission` | refuses template changes while frozen |
"""
