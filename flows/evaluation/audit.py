"""The shortcut audit of a registered model on the labelled X-rays of the ledger, stored beside its evaluations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from db.engine import snapshot, transaction
from db.records import ModelRecord
from flows.home.ledger import open_ledger
from flows.registry.models import find_model
from flows.registry.registered import open_registered
from flows.registry.standing import publish_addendum
from flows.registry.verdicts import record_audit
from flows.settings import Settings
from flows.training.images import read_images_for
from xray_core.errors import InvalidDataset
from xray_core.evaluation.shortcut_audit import ShortcutAudit
from xray_core.promotion.checks import check_films
from xray_core.training.judgement import audit_images


def audit_model(
    settings: Settings, version: str | None, *, on_progress: Callable[[int], None] = lambda _: None
) -> tuple[ModelRecord, ShortcutAudit]:
    """Audit a version (the champion without one) and store findings and verdict; every surface shows it from then on.

    Raises RefusedInput for an unknown version, InvalidDataset where the labelled X-rays do not do for it or cannot all
    be read.
    """
    model = find_model(settings, version)
    opened = open_registered(settings, model)
    with open_ledger(settings) as engine:
        images = read_images_for(settings, engine, opened.manifest, on_progress)
        for check in check_films(images.unread):
            raise InvalidDataset(f"insufficient evidence: {check.words}; nothing was audited", public=True)
        audit = audit_images(images, opened.classifier)
        with transaction(engine) as session:
            audited = record_audit(
                session,
                model,
                audit,
                label_set_sha256=images.plan.label_set_sha256,
                actor="operator (audit)",
                now=datetime.now(UTC),
            )
        with snapshot(engine) as session:
            publish_addendum(settings, session, model.version)
    return audited, audit
