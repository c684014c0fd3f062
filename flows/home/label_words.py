"""What this site's words for labels mean: the settings' class names and `label-words.toml` of the home."""

from __future__ import annotations

import os
from typing import Final

from flows.settings import Settings
from xray_core.errors import RefusedInput
from xray_core.exchange.csv_table import normal_text
from xray_core.exchange.label_words import parse_label_words
from xray_core.records import Label

LABEL_WORDS_FILE: Final = "label-words.toml"

# What `xray init` writes: examples that change nothing.
TEMPLATE: Final = """\
# What this site's own words for labels mean, once for everything: labels CSVs (given by command or dropped into
# labels/), folders of labelled X-rays, and the datasets that a training is given. Left the word, in any case and
# spacing; right one of covid, normal, other (abnormal, but not covid), unsure, exclude. `--map WORD=LABEL` of a command
# adds to it. Which words an import used stands in the audit log.

[words]
# "COVID-19" = "covid"
# "No finding" = "normal"
# "Viral Pneumonia" = "other"
# "Lateral" = "exclude"
"""


def read_label_words(settings: Settings) -> dict[str, Label]:
    """Every word that this site uses, with its label; the file of the home and the settings must not disagree.

    Raises RefusedInput with one sentence for a file that cannot be meant, OSError for what cannot be read.
    """
    path = settings.home / LABEL_WORDS_FILE
    named = {normal_text(word): label for word, label in settings.class_names.items()}
    if not os.path.lexists(path):
        return named
    words = parse_label_words(path.read_bytes(), LABEL_WORDS_FILE)
    for word in words.keys() & named.keys():
        if words[word] is not named[word]:
            raise RefusedInput(
                f"{LABEL_WORDS_FILE}: received {word!r} = {words[word]}, and XRAY_CLASS_NAMES says {named[word]}; "
                "expected one meaning",
                public=True,
            )
    return named | words
