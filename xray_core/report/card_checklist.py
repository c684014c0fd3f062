"""What TRIPOD+AI and CLAIM ask of a report and the service cannot know: a team answers, or the card says unknown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

GUIDELINES: Final = (
    "TRIPOD+AI (Collins and others, BMJ 2024;385:e078378) and CLAIM (checklist for artificial intelligence in medical "
    "imaging, 2024 update)"
)

# Key of a team's answer, and the question.
QUESTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "setting": "Where and when were the X-rays taken: which hospitals and wards, from which date to which?",
        "eligibility": "Which patients were included and left out, and how were they found?",
        "reference_standard": "How was each label established (PCR, radiologists, reports), by whom, how trained?",
        "blinding": "Were the readers blind to everything but the X-ray?",
        "agreement": "How far do several readers of the same X-ray agree?",
        "patients": "Age, sex, ethnicity, severity and other illnesses of the patients?",
        "equipment": "Which machines, projections and exposures; what did the senders do to the pictures?",
        "sample_size": "Why are there as many X-rays as there are?",
        "missing": "What was missing (patients, labels, views), and what was done about it?",
        "fairness": "Which groups of patients may it serve worse, and was that examined?",
        "human_use": "Who would use a score, with what training, and what would they do with it?",
        "clinical_benefit": "Is there evidence that using it helps patients?",
        "ethics": "Ethics approval, consent, de-identification, and the licences of the data?",
        "public": "Were patients and the public involved?",
        "protocol": "Is there a protocol or a registration?",
        "funding": "Who paid, and who has an interest in the outcome?",
        "sharing": "Can others have the data, the code and the model?",
    }
)
