"""Node pools from Terraform text: modules, resources, locals and variables, and what is said about the rest."""

from __future__ import annotations

import pytest

from pilothouse.base.entropy import Entropy
from pilothouse.base.errors import Finding
from pilothouse.engines.terraform import hcl
from pilothouse.engines.terraform.instances import Instance, instances, reserved_cpu_milli
from pilothouse.engines.terraform.node_pools import NodePool, read_node_pools
from pilothouse.engines.terraform.values import Scope, Symbol, resolve

CLUSTER = """
provider "aws" { region = var.region }
variable "region" { default = "eu-west-1" }
variable "most" {
  type    = number
  default = 12
}
variable "secret" {}
locals {
  common = { instance_types = ["m5.large"], labels = { team = "core" } }
}
module "eks" {
  source  = "terraform-aws-modules/eks/aws"
  vpc_id  = module.vpc.vpc_id          # only known when planned
  eks_managed_node_group_defaults = { disk_size = 50 }
  eks_managed_node_groups = {
    web = merge(local.common, {
      min_size = 2
      max_size = var.most * 2
    })
    "batch-gpu" = {
      instance_types = ["g4dn.xlarge"], min_size = 0, max_size = 5, desired_size = 1
      capacity_type  = "SPOT"
      taints = [{ key = "nvidia.com/gpu", value = "true", effect = "NO_SCHEDULE" }]
    }
  }
}
"""


def read(*texts: str) -> tuple[dict[str, NodePool], list[Finding]]:
    pools, findings = read_node_pools({f"file{i}.tf": text for i, text in enumerate(texts)})
    return {pool.name: pool for pool in pools}, findings


def codes(findings: list[Finding]) -> set[str]:
    return {finding.code for finding in findings}


def test_groups_of_the_module_are_read_with_defaults_locals_and_variables() -> None:
    pools, findings = read(CLUSTER)
    web = pools["web"]
    assert (web.instance_type, web.min_size, web.max_size, web.desired_size) == ("m5.large", 2, 24, 2)
    assert web.labels["team"] == "core"
    assert web.zones == ("eu-west-1a", "eu-west-1b", "eu-west-1c")
    assert web.capacity["ephemeral-storage"] == 50 * 2**30
    assert str(web.place) == "file0.tf:17"
    assert not [f for f in findings if f.severity == "error"]


def test_taints_gpus_prices_and_spot() -> None:
    pools, findings = read(CLUSTER)
    gpu = pools["batch-gpu"]
    assert gpu.taints == (("nvidia.com/gpu", "true", "NoSchedule"),)
    assert gpu.allocatable["nvidia.com/gpu"] == 1
    assert gpu.hourly_usd == pytest.approx(0.526)
    assert gpu.spot
    assert any("spot" in f.message for f in findings)


def test_plain_resources_are_read_with_their_blocks() -> None:
    pools, _ = read(
        """
        resource "aws_eks_node_group" "main" {
          node_group_name = "workers"
          node_role_arn   = aws_iam_role.node.arn
          instance_types  = ["c5.xlarge"]
          scaling_config {
            desired_size = 3
            min_size     = 1
            max_size     = 6
          }
          taint {
            key    = "dedicated"
            value  = "jobs"
            effect = "PREFER_NO_SCHEDULE"
          }
        }
        """
    )
    workers = pools["workers"]
    assert (workers.min_size, workers.max_size, workers.desired_size) == (1, 6, 3)
    assert workers.taints == (("dedicated", "jobs", "PreferNoSchedule"),)


def test_an_unknown_type_is_an_error_with_alternatives_and_the_rest_is_read() -> None:
    pools, findings = read(
        'module "eks" {\n  eks_managed_node_groups = {\n    a = { instance_types = ["m5.huge"] }\n    b = {}\n  }\n}\n'
    )
    assert list(pools) == ["b"]
    problem = next(f for f in findings if f.code == "PH603")
    assert str(problem.place) == "file0.tf:3"
    assert "m5.large" in problem.remedy


def test_sizes_that_do_not_fit_are_an_error() -> None:
    group = "{ min_size = 5, max_size = 2, desired_size = 1 }"
    pools, findings = read(f'module "eks" {{\n  eks_managed_node_groups = {{ a = {group} }}\n}}\n')
    assert not pools
    assert "PH604" in codes(findings)


def test_what_only_a_plan_knows_is_a_note_or_a_warning_never_an_error() -> None:
    pools, findings = read(
        'module "eks" {\n  eks_managed_node_groups = module.other.groups\n}\n'
        'resource "aws_eks_node_group" "x" {\n  instance_types = var.types\n  scaling_config {\n'
        "    min_size = 1\n    max_size = var.top\n    desired_size = 1\n  }\n}\n"
    )
    assert pools["x"].instance_type == "t3.medium"
    assert codes(findings) == {"PH605", "PH606"}
    assert all(f.severity in ("note", "warning") for f in findings)


def test_broken_text_names_file_and_line_and_other_files_are_read() -> None:
    pools, findings = read('module "eks" {\n  eks_managed_node_groups = {\n    a = \n  }\n}\n', CLUSTER)
    problem = next(f for f in findings if f.code == "PH601")
    assert (problem.place.file, problem.place.line) == ("file0.tf", 4)
    assert set(pools) == {"web", "batch-gpu"}


def test_values_of_tfvars_win_over_defaults() -> None:
    pools, _ = read_node_pools({"main.tf": CLUSTER, "terraform.tfvars": "most = 3\n"})
    assert pools[0].max_size == 6


def test_eks_reserves_by_its_published_formula() -> None:
    # bootstrap.sh: 60 + 10 + 5 + 5 milli-cores of four cores; 2.5 of each further one.
    assert [reserved_cpu_milli(n) for n in (1, 2, 4, 8, 96)] == [60, 70, 80, 90, 310]
    xlarge = instances()["m5.xlarge"]
    assert xlarge.max_pods == 58
    assert xlarge.allocatable()["cpu"] == 3920
    reserved = xlarge.capacity()["memory"] - xlarge.allocatable()["memory"]
    assert reserved == (255 + 11 * 58 + 100) * 2**20


def test_all_known_types_leave_room_for_pods() -> None:
    for known in instances().values():
        assert isinstance(known, Instance)
        assert known.hourly_usd > 0
        assert min(known.allocatable()[name] for name in ("cpu", "memory", "pods", "ephemeral-storage")) > 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ('"a-${var.n}"', "a-4"),
        ("var.n > 3 ? [1, 2][1] : 0", 2),
        ("!true || 1 == 1", True),
        ("-var.n", -4),
        ('{ a = 1, "b" : 2 }["b"]', 2),
        ("concat([1], [2, 3])", [1, 2, 3]),
        ("merge({a = 1}, {a = 2})", {"a": 2}),
        ('try(var.none.deep, "x")', "x"),
        ("<<-EOT\n  line\n  EOT\n", "  line\n"),
        ('"\\"q\\" $${x}"', '"q" ${x}'),
        ("null", None),
        ("module.vpc.ids[0]", Symbol("module.vpc.ids[0]")),
        ("[for z in var.n : upper(z)]", Symbol("[for z in var.n : upper(z)]")),
    ],
)
def test_expressions(text: str, value: object) -> None:
    block = hcl.parse(f"x = {text}\n")
    assert resolve(block.attributes["x"], Scope({"n": 4})) == value


def test_locals_that_go_in_circles_stay_symbolic() -> None:
    block = hcl.parse("locals {\n a = local.b\n b = local.a\n}\n")
    scope = Scope({}, block.blocks[0].attributes)
    assert scope.local("a") == Symbol("local.b") or isinstance(scope.local("a"), Symbol)


@pytest.mark.parametrize("text", ["a = [", 'a = "x', "a b c", "}", "a = 1 2", "a = " + "(" * 500, "a = ${", "\x00"])
def test_broken_text_is_one_error_with_a_line(text: str) -> None:
    with pytest.raises(hcl.HclError) as problem:
        hcl.parse(text)
    assert problem.value.line == 1


SIGNS = '{}[]()"$%<>=,.:?!-+*/#\n ac01&|'


@pytest.mark.parametrize("seed", range(300))
def test_damaged_files_give_findings_never_exceptions(seed: int) -> None:
    luck = Entropy(seed).stream("damage")
    text = list(CLUSTER)
    for _ in range(int(luck.integers(1, 5))):
        at = int(luck.integers(len(text)))
        if luck.random() < 0.5:
            del text[at : at + int(luck.integers(1, 30))]
        else:
            text[at] = SIGNS[int(luck.integers(len(SIGNS)))]
    pools, findings = read("".join(text))
    assert pools or findings
