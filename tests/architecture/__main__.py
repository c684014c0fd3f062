"""The figures of the house: `python -m tests.architecture`."""

from __future__ import annotations

from tests.architecture import exceptions, house


def describe() -> str:
    """The figures as a table in Markdown, package by package."""
    rows = [("", *house.PACKAGES), ("---", *("---",) * len(house.PACKAGES))]
    columns = [_measure(package) for package in house.PACKAGES]
    rows += [(name, *(column[name] for column in columns)) for name in columns[0]]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    allowed = {name: value for name, value in vars(exceptions).items() if name.isupper()}
    counted = ", ".join(f"{len(value)} {name.lower().replace('_', ' ')}" for name, value in allowed.items())
    twice = len(house.find_twice_named_classes())
    return "\n".join((*lines, f"Public class names that stand twice: {twice}. Exceptions: {counted}."))


def _measure(package: str) -> dict[str, str]:
    modules = [each for each in house.read_modules() if each.name.startswith(f"{package}/")]
    functions = [each for each in house.read_functions() if each.name.startswith(f"{package}/")]
    folders = {folder: n for folder, n in house.count_files().items() if f"{folder}/".startswith(f"{package}/")}
    lengths = sorted(each.lines for each in functions if not each.is_command)
    uncalled = [name for name in house.find_unused() if name.startswith(f"{package}/")]
    return {
        "folders": str(len(folders)),
        "files, most in a folder": f"{sum(folders.values())}, {max(folders.values())}",
        "lines, longest file": f"{sum(each.lines for each in modules)}, {max(each.lines for each in modules)}",
        "files over 250 lines": str(sum(each.lines > 250 for each in modules)),
        "functions": str(len(functions)),
        "lines of a function: median, 90 %, longest": (
            f"{lengths[len(lengths) // 2]}, {lengths[len(lengths) * 9 // 10]}, {lengths[-1]}"
        ),
        "functions with more than 5 by place": str(sum(each.parameters > 5 for each in functions)),
        "broad excepts": str(len(house.find_broad_excepts(package))),
        "functions and classes without a caller": str(len(uncalled)),
    }


if __name__ == "__main__":
    print(describe())
