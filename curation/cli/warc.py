"""`curation extract --urls ... --warc`: the records that a run fetched, as one WARC file."""

from __future__ import annotations

import os

from curation.cli.console import say


def need_place(path: str) -> None:
    """Raise InputError, before anything is fetched, for a file that cannot be written there."""
    from curation.errors import InputError

    if not path.endswith(".warc.gz"):
        raise InputError(f"--warc: a name that ends in .warc.gz expected, got {path!r}")
    if os.path.isdir(path):
        raise InputError(f"--warc: a file expected, got the folder {path}; name a file in it")


def write_warc(run: str, path: str) -> None:
    """Write the records of a finished run behind a warcinfo record, whole or not at all."""
    import shutil

    from warcio.warcwriter import WARCWriter

    from curation import store
    from curation.rundir import plan as plans
    from curation.stages.extract.captures import records_path
    from curation.version import __version__

    rundir, plan = plans.read(run)
    parts = [records_path(rundir, file) for shard in plan.of("input") for file in shard.files]
    software = {"software": f"curation {__version__}", "format": "WARC File Format 1.0"}
    with store.atomic(path) as file:
        writer = WARCWriter(file, gzip=True)
        writer.write_record(writer.create_warcinfo_record(os.path.basename(path), software))
        for part in parts:
            with store.open_input(part) as records:
                shutil.copyfileobj(records, file)
    say(f"Fetched records: {path}", err=True)
