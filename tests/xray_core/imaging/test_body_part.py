"""The chest by whatever word it is sent, and no spine by one that begins alike."""

from __future__ import annotations

import pytest

from tests.dicom_files import dicom
from xray_core.errors import UnreadableXray
from xray_core.imaging.dicom.body_part import names_chest
from xray_core.imaging.radiograph import read_radiograph
from xray_core.records import ReasonCode

CHESTS = """
CHEST|PORT CHEST|Chest PA|THORAX|TORAX|2- TORAX|T?RAX|T??RAX|TÒRAX|TÓRAX|Tórax|T\ufffdRAX|Pecho|PECHO|TORACE
RX TORACE AP|POITRINE|THORAX FACE|Poumons|BRUST|Brustkorb|Lunge|BORST|Borstkas|KLATKA PIERSIOWA|P?UCA|Płuca
HRUDNÍK|HRUDN?K|MELLKAS|GÖĞÜS|TORAKS|TÓRAX PA/PERFIL|PULMÃO|PULMONES|Toracele|BRÖST|BR?ST|LUNGOR|RINTAKEHÄ
Органы грудной клетки|ОГК|ГРУДНАЯ КЛЕТКА|ΘΩΡΑΚΑΣ|θώρακας|胸部|胸部正面|胸片|肺|흉부|가슴|صدر|חזה|छाती|ทรวงอก
NGỰC|PARU-PARU|CAJA TORÁCICA|CAGE THORACIQUE|Gabbia toracica|THORACIC|THORAKS
"""
OTHERS = """
SKULL|ABDOMEN|KNEE|HAND|PELVIS|CSPINE|TSPINE|THORACIC SPINE|T-SPINE|LONG LEG|BRUSTWIRBELSÄULE|Brustwirbel
BORSTWERVELKOLOM|COLUMNA DORSAL|COLUNA TORÁCICA|грудной отдел позвоночника|胸椎|胸骨|腹部|????|?|RX|PORT|EXTREMITY
SHOULDER|CRÁNEO|BREAST|Kręgosłup|Schädel|ГОЛОВА|Rachis|TRAX|молочная железа
Rachis thoracique|RAQUIS TORÁCICO|Disco torácico|COLUMNA TORACICA|Rachide toracico|THORACIC VERTEBRAE
"""


def split(words: str) -> list[str]:
    return words.strip().replace("\n", "|").split("|")


@pytest.mark.parametrize("word", split(CHESTS))
def test_a_chest_is_known_by_this_word(word: str) -> None:
    assert names_chest(word)
    assert names_chest(word.lower())


@pytest.mark.parametrize("word", split(OTHERS))
def test_another_part_is_not_taken_for_a_chest(word: str) -> None:
    assert not names_chest(word)


@pytest.mark.parametrize("word", ["胸部", "Грудь", "TÓRAX", "Hrudník", "Płuca"])
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "cp1251", "latin-1"])
def test_bytes_of_another_encoding_are_read_as_what_they_were(word: str, encoding: str) -> None:
    try:
        mangled = word.encode(encoding).decode("latin-1")
    except UnicodeEncodeError:
        pytest.skip("not in this encoding")

    assert names_chest(mangled)


def test_a_site_adds_its_own_words() -> None:
    assert not names_chest("RTG 2P AP")
    assert names_chest("RTG 2P AP", ["rtg 2p"])
    assert names_chest("Ťrup", ("TRUP",))
    assert not names_chest("RTG 3P AP", ["RTG 2P", ""])


def test_the_refusal_names_the_way_out_and_the_setting_opens_it() -> None:
    content = dicom(BodyPartExamined="RTG 2P")

    with pytest.raises(UnreadableXray, match="XRAY_CHEST_WORDS") as refused:
        read_radiograph(content)

    assert refused.value.reason is ReasonCode.WRONG_BODY_PART
    assert read_radiograph(content, chest_words=("RTG 2P",)).facts.view == "PA"
