"""The memo: finished results survive Snakemake's clean-up and are taken back instead of being computed again.

Snakemake removes a job's outputs before it starts the job. Each published store is therefore kept a second time, as
hard links (no extra bytes), in ``.memo/<store name>/<key>`` beside it. The key digests all that the result depends on:
stage, spec, code and the content of its inputs. A job whose key is already there restores the result in milliseconds:
after a kill between publication and bookkeeping, on a restart beside an orphaned job, when an upstream stage ran again
with an equal result, or when an edit is undone.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

from rgflow.store.digest import digest_variables
from rgflow.store.manifest import manifest_of, read_manifest, write_atomically, write_manifest
from rgflow.store.publish import open_zarr
from rgflow.store.temporary import remove_leftovers, replace_directory, temporary_sibling

DIRECTORY = ".memo"
_KEPT = 3  # results remembered per store: the present one and the two before
_log = logging.getLogger(__name__)


def keep(store: Path, key: str) -> None:
    """Remember the published ``store`` under ``key``; file systems without hard links are left alone."""
    entry = _entry(store, key)
    if entry.exists():
        return
    remove_leftovers(entry)
    try:
        with temporary_sibling(entry) as temporary:
            _link_tree(store, temporary / "store.zarr")
            os.link(manifest_of(store), temporary / "store.json")
            replace_directory(temporary, entry)
    except OSError as error:
        _log.debug("no memo of %s: %s", store, error)
        return
    _forget_oldest(entry.parent)


def restore(store: Path, key: str) -> bool:
    """Put the result remembered under ``key`` back in place; False if there is none or it is damaged."""
    entry = _entry(store, key)
    if not _intact(entry):
        shutil.rmtree(entry, ignore_errors=True)
        return False
    for final in (store, manifest_of(store)):
        remove_leftovers(final)
    manifest = read_manifest(entry / "store.json")
    with temporary_sibling(store) as temporary:
        _link_tree(entry / "store.zarr", temporary)
        replace_directory(temporary, store)
    write_manifest(manifest_of(store), manifest["variables"], manifest["attributes"])
    entry.touch()
    return True


def note_refusal(store: Path, key: str, line: str) -> None:
    """Note why the job of ``key`` was refused, for its next attempt; where nothing can be written it is tried again."""
    try:
        write_atomically(_refusal(store), json.dumps({"key": key, "line": line}))
    except OSError as error:
        _log.debug("no note of the refusal of %s: %s", store, error)


def refusal(store: Path, key: str) -> str | None:
    """Why the job of ``key`` was refused the time before; None if it was not."""
    try:
        noted = json.loads(_refusal(store).read_text(encoding="utf-8"))
        return str(noted["line"]) if noted["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_refusal(store: Path) -> None:
    """Forget why a job was refused: it runs once more."""
    with suppress(OSError):
        _refusal(store).unlink(missing_ok=True)


def _refusal(store: Path) -> Path:
    return store.parent / DIRECTORY / store.stem / ".refused.json"


def forget(store: Path) -> None:
    """Forget all that is remembered of a store."""
    shutil.rmtree(store.parent / DIRECTORY / store.stem, ignore_errors=True)


def remembered(store: Path) -> Path | None:
    """The newest result that is remembered of a store; None if there is none."""
    entries = store.parent / DIRECTORY / store.stem
    found = [entry for entry in entries.glob("*/store.zarr") if not entry.parent.name.startswith(".")]
    return max(found, key=lambda entry: _modified(entry.parent), default=None)


def _entry(store: Path, key: str) -> Path:
    return store.parent / DIRECTORY / store.stem / key


def _intact(entry: Path) -> bool:
    try:
        manifest = read_manifest(entry / "store.json")
        with open_zarr(entry / "store.zarr") as remembered:
            return bool(digest_variables(remembered) == manifest["variables"])
    except Exception:  # whatever a damaged store does to the decoders, it is not intact
        return False


def _link_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link, ignore=shutil.ignore_patterns(".snakemake_timestamp"))


def _forget_oldest(entries: Path) -> None:
    newest_first = sorted((e for e in entries.iterdir() if not e.name.startswith(".")), key=_modified, reverse=True)
    for entry in newest_first[_KEPT:]:
        shutil.rmtree(entry, ignore_errors=True)


def _modified(path: Path) -> float:
    return path.stat().st_mtime
