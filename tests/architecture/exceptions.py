"""What may be as it is, each with its reason. A line that is no longer needed fails the test: take it out."""

from __future__ import annotations

# At most three; the file itself says why it is long.
LONG_FILES: dict[str, str] = {
    "xray_core/evaluation/shortcut_audit.py": "the lines and sentences of all probes side by side",
    "xray_core/records.py": "the closed lists of words in one place",
}

LONG_FUNCTIONS: dict[str, str] = {}

# More than five parameters that may be given by place. Prefect and Typer read names and types from the signature.
MANY_PARAMETERS: dict[str, str] = {
    "flows/cli/labels.py:adjudicate": "a command",
    "flows/cli/models.py:import_": "a command",
    "flows/cli/reading.py:review": "a command",
    "flows/cli/training.py:train": "a command",
    "flows/deployments/retrain.py:retrain": "a flow: its parameters are a form in Prefect's page",
}

TWICE_NAMED: dict[str, str] = {}

BROAD_EXCEPTS: dict[str, str] = {
    "xray_core/imaging/png.py": "the Rust decoder raises nothing narrower, and Pillow has the last word",
    "xray_core/processes/decoder.py": "what a call raises is told, by its type's name, to who waits for the result",
}

WORDY_INITS: dict[str, str] = {
    "flows/__init__.py": "sets the garbage collector before a thousand modules load: a quarter of a scan's time",
}

# Called by a library.
CALLED_BY_OTHERS: dict[str, str] = {
    "xray_core/networks/lite/torch_file.py:persistent_load": "pickle calls it",
    "db/schema.py:db": "imported for the tables that it defines",
    "db/columns.py:get_col_spec": "SQLAlchemy calls it",
    "db/columns.py:load_dialect_impl": "SQLAlchemy calls it",
    "db/columns.py:process_bind_param": "SQLAlchemy calls it",
    "db/columns.py:process_result_value": "SQLAlchemy calls it",
}
