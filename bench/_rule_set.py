"""What the two rule benchmarks evaluate: 100 rules as teams write them over a day of a few services' series.

Per service: requests by code, a latency histogram, memory, restarts, up. 40 recording rules feed 60 alerts: error
ratios over two windows, p99, restarts, memory against its limit, absence, prediction. Groups run every 15 to 60 s.
"""

from __future__ import annotations

from typing import Any

SERVICES = ("api", "cart", "checkout", "search", "login", "feed", "media", "mail", "jobs", "billing")
BOUNDS = ("0.05", "0.1", "0.25", "0.5", "1", "+Inf")
INTERVALS = ("15s", "30s", "30s", "60s")
DAY_S = 86_400


def rule_file() -> dict[str, Any]:
    """{"groups": [...]}: ten groups of ten rules."""
    return {"groups": [_group(number, service) for number, service in enumerate(SERVICES)]}


def _group(number: int, service: str) -> dict[str, Any]:
    job = f'job="{service}"'
    name = service.capitalize()
    ratio = f"{service}:error_ratio:rate"
    rules: list[dict[str, Any]] = [
        {"record": f"{service}:requests:rate5m", "expr": f"sum by (code) (rate(requests_total{{{job}}}[5m]))"},
        {
            "record": f"{ratio}5m",
            "expr": f'sum(rate(requests_total{{{job},code=~"5.."}}[5m])) / sum(rate(requests_total{{{job}}}[5m]))',
        },
        {
            "record": f"{ratio}1h",
            "expr": f'sum(rate(requests_total{{{job},code=~"5.."}}[1h])) / sum(rate(requests_total{{{job}}}[1h]))',
        },
        {
            "record": f"{service}:latency:p99",
            "expr": f"histogram_quantile(0.99, sum by (le) (rate(latency_seconds_bucket{{{job}}}[5m])))",
        },
        _alert(f"{name}BurnsBudget", f"{ratio}5m > 0.0144 and {ratio}1h > 0.0144", "2m", "page"),
        _alert(f"{name}IsSlow", f"{service}:latency:p99 > 1", "5m", "page"),
        _alert(f"{name}Restarts", f"increase(restarts_total{{{job}}}[15m]) > 3", "0s", "ticket"),
        _alert(f"{name}FillsMemory", f"memory_bytes{{{job}}} / memory_limit_bytes{{{job}}} > 0.85", "5m", "ticket"),
        _alert(f"{name}IsGone", f"absent(up{{{job}}}) or up{{{job}}} == 0", "3m", "page"),
        _alert(
            f"{name}WillFill",
            f"predict_linear(memory_bytes{{{job}}}[1h], 4 * 3600) > 2 * 1024 * 1024 * 1024",
            "10m",
            "ticket",
        ),
    ]
    return {"name": f"{service}.rules", "interval": INTERVALS[number % len(INTERVALS)], "rules": rules}


def _alert(name: str, expr: str, lasting: str, severity: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": f"{name} on {{{{ $labels.job }}}}: {{{{ $value | humanize }}}}"},
    }


def input_series(sample_s: int) -> list[dict[str, str]]:
    """A day of samples in promtool's notation. Every third service has a bad half hour at noon."""
    steps = DAY_S // sample_s
    noon, half_hour = steps // 2, 1800 // sample_s
    rest = steps - noon - half_hour
    out = []

    def add(series: str, values: str) -> None:
        out.append({"series": series, "values": values})

    def counted(each: int, at_noon: int) -> str:
        """Grows by `each` a sample, by `at_noon` during the half hour."""
        then = noon * each
        return f"0+{each}x{noon - 1} {then}+{at_noon}x{half_hour - 1} {then + half_hour * at_noon}+{each}x{rest}"

    for number, service in enumerate(SERVICES):
        bad = number % 3 == 0
        job = f'job="{service}"'
        for code, each in (("200", 90), ("404", 5), ("500", 0)):
            add(f'requests_total{{{job},code="{code}"}}', counted(each, each + 10 * (bad and code == "500")))
        for at, bound in enumerate(BOUNDS):
            each = 15 * (at + 1)
            slower = 10 * at if bad and bound != "+Inf" else 0
            add(f'latency_seconds_bucket{{{job},le="{bound}"}}', counted(each, each - slower))
        add(f"memory_bytes{{{job}}}", f"800000000+{10_000 * (number + 1)}x{steps}")
        add(f"memory_limit_bytes{{{job}}}", f"1073741824x{steps}")
        add(f"restarts_total{{{job}}}", f"0x{noon} 1+1x{half_hour // 6} 6x{rest}")
        add(f"up{{{job}}}", f"1x{noon} 0x{half_hour} 1x{rest}" if number % 5 == 0 else f"1x{steps}")
    return out
