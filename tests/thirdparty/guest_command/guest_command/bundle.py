"""``harness bundle`` packs a run into one zip file, to attach to a paper or an issue."""

import zipfile
from pathlib import Path

import click

import harness


@click.command()
@click.argument("run", default="latest")
@click.option("--output", type=click.Path(path_type=Path), default=Path("run.zip"), show_default=True, help="The file.")
def bundle(run, output):
    """Pack a run into one zip file.

    RUN is the folder of a run, the name of a suite for its latest run, or "latest".
    """
    folder = harness.open(run).folder
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder.parent))
    click.echo(f"{output}: {len(files)} files of {folder.name}")
