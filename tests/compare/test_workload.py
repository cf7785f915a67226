from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from taskbridge_compare.workload import SHIPPED, WorkloadError, load

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_workload_is_a_web_shop_with_five_roles() -> None:
    shop = load(SHIPPED)
    assert {task.role for task in shop.tasks} == {"short", "long", "failing", "scheduled", "payload"}
    assert len(shop.of_role("payload").arguments["payload"]) == 10_000


def test_a_mix_keeps_the_shares_and_is_the_same_each_time() -> None:
    shop = load(SHIPPED)
    mix = [task.name for task in shop.mix(100)]
    assert Counter(mix) == {"send_receipt": 85, "import_catalogue": 10, "resize_photo": 5}
    assert mix == [task.name for task in shop.mix(100)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('role = "long"', 'role = "slow"'), r"shop.toml:11: tasks.resize_photo.role: 'slow' is none of short, long"),
        (("retries = 3", "retrys = 3"), r"shop.toml:19: tasks.call_warehouse.retrys: .*did you mean 'retries'\?"),
        (("share = 85", "share = -1"), r"shop.toml:7: tasks.send_receipt.share: must be a number"),
        (('module = "shop"', 'module = "shap"'), r"shop.toml:3: module: no file shap.py beside the workload"),
        (('role = "payload"', 'role = "short"'), r"no task has role = 'payload'"),
        (('name = "shop"', 'name = "shop'), r"shop.toml:2: not TOML"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "shop.py").write_text("")
    (tmp_path / "shop.toml").write_text(SHIPPED.read_text().replace(*change))
    with pytest.raises(WorkloadError, match=message):
        load(tmp_path / "shop.toml")


def test_a_missing_file_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError, match="No such file"):
        load(tmp_path / "none.toml")
