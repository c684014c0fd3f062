"""Whoever is refused a promotion, a rollback, an audit or an evaluation is told what to do instead."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from xray_core.errors import ModelAltered

_FLOWS = Path(__file__).parents[3] / "flows"
_REFUSALS = ("RefusedInput", "InvalidDataset", "IncompatibleModel", "NoChampion")
# A command to type, what would have been taken, or the words of a check, which has a way out of its own.
_WAYS_OUT = ("`xray ", "expected ", ".words")


def find_refusals() -> list[tuple[str, str]]:
    """Where each refusal of the two rooms is raised, and its message as it stands in the code."""
    found = []
    for path in sorted(file for room in ("registry", "evaluation") for file in (_FLOWS / room).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {
            target.id: ast.unparse(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            call = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _REFUSALS:
                message = call.args[0]
                words = said[message.id] if isinstance(message, ast.Name) else ast.unparse(message)
                found.append((f"{path.parent.name}/{path.name}:{node.lineno}", words))
    return found


def test_there_are_refusals_to_look_at() -> None:
    assert len(find_refusals()) > 10


@pytest.mark.parametrize(("where", "words"), find_refusals())
def test_a_refusal_says_the_way_out(where: str, words: str) -> None:
    assert any(way in words for way in _WAYS_OUT), f"{where} says no and no way out: {words}"


def test_an_altered_model_says_the_way_out_wherever_it_is_met() -> None:
    assert "`xray models rollback`" in f"{ModelAltered('model 0001: model.onnx is missing')}"
